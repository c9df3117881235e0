package grpcstream_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/grpcstream"
)

// TestFieldCase17Config gives observers to New that are not for what they are to observe.
func TestFieldCase17Config(t *testing.T) {
	observer := func(protocol string) *instrument.Observer {
		o, err := instrument.New(instrument.WithProtocol(protocol))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	streams, connections := observer(grpcstream.Protocol), observer(grpcstream.ConnectionProtocol)
	tests := map[string]struct {
		config grpcstream.Config
		want   string // of the error; empty for none
	}{
		"both":                    {grpcstream.Config{Streams: streams, Connections: connections}, ""},
		"none":                    {grpcstream.Config{}, ""},
		"zero observers":          {grpcstream.Config{Streams: new(instrument.Observer), Connections: new(instrument.Observer)}, ""},
		"exchanged":               {grpcstream.Config{Streams: connections, Connections: streams}, "Config.Streams"},
		"streams twice":           {grpcstream.Config{Streams: streams, Connections: streams}, "Config.Connections"},
		"connections twice":       {grpcstream.Config{Streams: connections, Connections: connections}, "Config.Streams"},
		"of the default protocol": {grpcstream.Config{Streams: observer("websocket")}, `"websocket"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h, err := grpcstream.New(tt.config)
			switch {
			case tt.want == "" && (err != nil || h == nil):
				t.Errorf("New: %v, %v, want a Handler", h, err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("New: %v, want an error that names %s", err, tt.want)
			}
		})
	}
}

// TestNilHandler serves without observation.
func TestNilHandler(t *testing.T) {
	var h *grpcstream.Handler
	s := new(server)
	s.start(t, &service{unary: func(_ context.Context, m *message) (*message, error) { return m, nil }}, h.ServerOptions()...)
	c := dial(t, s)
	if err := call(t, c, unaryMethod, 1); err != nil {
		t.Error(err)
	}
	if err := h.Shutdown(t.Context(), s.Server); err != nil {
		t.Error(err)
	}
}

// TestOtherCredentials replaces our credentials, so that nothing is known of the connection but its RPCs.
func TestOtherCredentials(t *testing.T) {
	tests := map[string]struct {
		happens            func(*testing.T, *server, *client)
		draining           bool
		stream, connection why
	}{
		"reset": {
			func(t *testing.T, _ *server, c *client) { c.reset(t) }, false,
			why{"network", "abnormal"}, why{"network", "abnormal"},
		},
		"Stop while draining": {
			func(_ *testing.T, s *server, _ *client) { s.Stop() }, true,
			why{"local", "shutdown"}, why{"local", "shutdown"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			opened := make(chan struct{})
			s := &server{streams: record(t, grpcstream.Protocol), connections: record(t, grpcstream.ConnectionProtocol)}
			h := observedBy(t, grpcstream.Config{Streams: s.streams.Observer, Connections: s.connections.Observer})
			s.start(t, &service{stream: func(s grpc.ServerStream) error {
				if err := s.SendHeader(nil); err != nil {
					t.Error(err)
				}
				close(opened)
				return untilDone(s, nil)
			}}, append(h.ServerOptions(), grpc.Creds(insecure.NewCredentials()))...)
			c := dial(t, s)
			c.open(t.Context(), t, bidiMethod)
			<-opened
			s.streams.Observer.SetDraining(tt.draining)
			s.connections.Observer.SetDraining(tt.draining)
			tt.happens(t, s, c)
			s.streams.counted(ended(tt.stream.initiator, tt.stream.reason), "draining")
			s.connections.counted(ended(tt.connection.initiator, tt.connection.reason), "draining")
		})
	}
}
