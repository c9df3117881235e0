package grpcstream_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"google.golang.org/grpc"

	"github.com/sockscope/sockscope/instrument/grpcstream"
)

// TestServeHTTP has net/http serve the RPCs: streams are observed there, too, but a client that cancels cannot be told
// from one whose connection has ended.
func TestServeHTTP(t *testing.T) {
	untilDone := func(s grpc.ServerStream) error {
		<-s.Context().Done()
		return s.Context().Err()
	}
	tests := map[string]struct {
		handler func(grpc.ServerStream) error
		client  func(*client, grpc.ClientStream, context.CancelFunc)
		want    map[string]float64
	}{
		"OK": {
			func(grpc.ServerStream) error { return nil },
			func(_ *client, stream grpc.ClientStream, _ context.CancelFunc) { _ = receiveToEnd(stream) },
			ended("local", "normal"),
		},
		"client cancels": {
			untilDone, func(_ *client, _ grpc.ClientStream, cancel context.CancelFunc) { cancel() },
			ended("remote", "going_away"),
		},
		"connection is reset": {
			untilDone, func(c *client, _ grpc.ClientStream, _ context.CancelFunc) { c.reset(t) },
			ended("remote", "going_away"),
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := &server{streams: record(t, grpcstream.Protocol)}
			handler := grpc.NewServer(observedBy(t, grpcstream.Config{Streams: s.streams.Observer}).ServerOptions()...)
			opened := make(chan struct{})
			handler.RegisterService(description(), &service{stream: func(s grpc.ServerStream) error {
				if err := s.SendHeader(nil); err != nil {
					t.Error(err)
				}
				close(opened)
				return tt.handler(s)
			}})
			web := httptest.NewUnstartedServer(handler)
			web.Config.Protocols = new(http.Protocols)
			web.Config.Protocols.SetUnencryptedHTTP2(true)
			web.Start()
			t.Cleanup(web.Close)
			s.address = web.Listener.Addr().String()

			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			c := dial(t, s)
			stream := c.open(ctx, t, bidiMethod)
			<-opened
			tt.client(c, stream, cancel)
			s.streams.counted(tt.want)
		})
	}
}
