package grpcstream_test

import (
	"cmp"
	"context"
	"errors"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/sockscope/sockscope/instrument/grpcstream"
)

// tooBig is the size of the content of a message that is just too big for a server with that as its limit.
const tooBig = 1000

// TestEnds has open streams end in every way, between real peers, and compares everything that was counted of them, and
// how their connection ended.
func TestEnds(t *testing.T) {
	type end struct {
		initiator, reason string
		code              codes.Code
		connection        []string // initiator and reason; nil for a client that leaves in the end
		errors            map[string]float64
	}
	untilDone := func(s grpc.ServerStream) error {
		<-s.Context().Done()
		return s.Context().Err()
	}
	returns := func(code codes.Code) func(grpc.ServerStream) error {
		return func(grpc.ServerStream) error { return status.Error(code, "as told") }
	}
	stays := func(_ *testing.T, _ *server, _ *client, stream grpc.ClientStream, _ context.CancelFunc) {
		_ = receiveToEnd(stream)
	}
	cancels := func(_ *testing.T, _ *server, _ *client, stream grpc.ClientStream, cancel context.CancelFunc) {
		cancel()
		_ = receiveToEnd(stream)
	}
	reads := func(s grpc.ServerStream) error { return s.RecvMsg(new(message)) }
	sendsTooMuch := func(t *testing.T, _ *server, _ *client, stream grpc.ClientStream, _ context.CancelFunc) {
		if err := stream.SendMsg(messageOf(tooBig)); err != nil {
			t.Error(err)
		}
		_ = receiveToEnd(stream)
	}
	fallsSilent := func(_ *testing.T, _ *server, c *client, stream grpc.ClientStream, _ context.CancelFunc) {
		c.silent.Store(true)
		_ = receiveToEnd(stream)
	}
	resets := func(t *testing.T, _ *server, c *client, _ grpc.ClientStream, _ context.CancelFunc) { c.reset(t) }
	closes := func(_ *testing.T, _ *server, c *client, _ grpc.ClientStream, _ context.CancelFunc) { _ = c.Close() }
	drains := func(_ *testing.T, s *server, _ *client, _ grpc.ClientStream, _ context.CancelFunc) {
		s.streams.Observer.SetDraining(true)
		s.connections.Observer.SetDraining(true)
	}
	stops := func(t *testing.T, s *server, c *client, stream grpc.ClientStream, cancel context.CancelFunc) {
		drains(t, s, c, stream, cancel)
		s.Stop()
	}
	handlerError, broken := map[string]float64{"handler": 1}, []string{"network", "abnormal"}
	local := func(reason string, code codes.Code) end { return end{initiator: "local", reason: reason, code: code} }
	tests := map[string]struct {
		server  func(grpc.ServerStream) error // after the stream was opened
		client  func(*testing.T, *server, *client, grpc.ClientStream, context.CancelFunc)
		timeout time.Duration // of the RPC
		want    end
		options []grpc.ServerOption
	}{
		"OK":                  {server: returns(codes.OK), client: stays, want: local("normal", codes.OK)},
		"invalid argument":    {server: returns(codes.InvalidArgument), client: stays, want: local("policy", codes.InvalidArgument)},
		"not found":           {server: returns(codes.NotFound), client: stays, want: local("policy", codes.NotFound)},
		"already exists":      {server: returns(codes.AlreadyExists), client: stays, want: local("policy", codes.AlreadyExists)},
		"failed precondition": {server: returns(codes.FailedPrecondition), client: stays, want: local("policy", codes.FailedPrecondition)},
		"out of range":        {server: returns(codes.OutOfRange), client: stays, want: local("policy", codes.OutOfRange)},
		"resource exhausted":  {server: returns(codes.ResourceExhausted), client: stays, want: local("try_again_later", codes.ResourceExhausted)},
		"aborted":             {server: returns(codes.Aborted), client: stays, want: local("try_again_later", codes.Aborted)},
		"unavailable":         {server: returns(codes.Unavailable), client: stays, want: local("try_again_later", codes.Unavailable)},
		"unimplemented":       {server: returns(codes.Unimplemented), client: stays, want: local("protocol_error", codes.Unimplemented)},
		"code of our own":     {server: returns(codes.Code(99)), client: stays, want: local("other", codes.Code(99))},
		"unknown": {
			server: func(grpc.ServerStream) error { return errors.New("no status") }, client: stays,
			want: end{"local", "internal", codes.Unknown, nil, handlerError},
		},
		"internal":  {server: returns(codes.Internal), client: stays, want: end{"local", "internal", codes.Internal, nil, handlerError}},
		"data loss": {server: returns(codes.DataLoss), client: stays, want: end{"local", "internal", codes.DataLoss, nil, handlerError}},
		"unauthenticated": {
			server: returns(codes.Unauthenticated), client: stays,
			want: end{"local", "token_expired", codes.Unauthenticated, nil, map[string]float64{"auth": 1}},
		},
		"permission denied": {
			server: returns(codes.PermissionDenied), client: stays,
			want: end{"local", "policy", codes.PermissionDenied, nil, map[string]float64{"auth": 1}},
		},
		"a deadline of somebody else's": {
			server: returns(codes.DeadlineExceeded), client: stays,
			want: end{"local", "internal", codes.DeadlineExceeded, nil, map[string]float64{"timeout": 1}},
		},
		"client cancels": {
			server: untilDone, client: cancels, want: end{initiator: "remote", reason: "going_away", code: codes.Canceled},
		},
		"client cancels and the handler finds it all right": {
			server: func(s grpc.ServerStream) error {
				for s.SendMsg(messageOf(0)) == nil {
					time.Sleep(time.Millisecond)
				}
				return nil
			},
			client: cancels, want: end{initiator: "remote", reason: "going_away", code: codes.OK},
		},
		"deadline passes": {
			server: func(s grpc.ServerStream) error {
				_ = untilDone(s)
				return status.Error(codes.Canceled, "the deadline, or the client at its deadline")
			},
			client: stays, timeout: time.Second,
			want: end{initiator: "remote", reason: "going_away", code: codes.Canceled},
		},
		"connection is reset": {
			server: untilDone, client: resets, want: end{"network", "abnormal", codes.Canceled, broken, nil},
		},
		"client is closed": {
			server: untilDone, client: closes, want: end{"network", "abnormal", codes.Canceled, broken, nil},
		},
		"peer falls silent": {
			server: untilDone, client: fallsSilent, want: end{"network", "abnormal", codes.Canceled, broken, nil},
			options: []grpc.ServerOption{grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Second, Timeout: 200 * time.Millisecond})},
		},
		"message is too big": {
			server: reads, client: sendsTooMuch, options: []grpc.ServerOption{grpc.MaxRecvMsgSize(tooBig)},
			want: end{"local", "message_too_big", codes.ResourceExhausted, nil, map[string]float64{"read": 1}},
		},
		"server stops": {
			server: untilDone, client: stops,
			want: end{initiator: "local", reason: "shutdown", code: codes.Canceled, connection: []string{"local", "shutdown"}},
		},
	}
	for name, tt := range tests {
		for how, open := range map[string]func(grpc.ServerStream) error{
			"after a header": func(s grpc.ServerStream) error { return s.SendHeader(nil) },
			"after Observed": func(s grpc.ServerStream) error {
				if grpcstream.Observed(s.Context()).ID() == "" {
					return errors.New("no handle")
				}
				return nil
			},
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				t.Parallel()
				opened := make(chan struct{})
				s := serve(t, &service{stream: func(s grpc.ServerStream) error {
					if err := open(s); err != nil {
						t.Error(err)
					}
					close(opened)
					return tt.server(s)
				}}, tt.options...)
				c := dial(t, s)
				c.connect(t)
				ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(tt.timeout, deadline))
				defer cancel()
				stream := c.open(ctx, t, bidiMethod)
				<-opened
				tt.client(t, s, c, stream, cancel)

				want := ended(tt.want.initiator, tt.want.reason)
				for kind, n := range tt.want.errors {
					want[`errors_total{kind="`+kind+`"}`] = n
				}
				s.streams.counted(want, "message", "draining")
				_ = c.Close()
				connection := tt.want.connection
				if connection == nil {
					connection = []string{"remote", "going_away"}
				}
				s.connections.counted(ended(connection[0], connection[1]), "message", "draining")
				closed := s.streams.Record("connection closed")
				type record struct{ Initiator, Reason, Code any }
				var code any // the record leaves 0 out
				if tt.want.code != codes.OK {
					code = float64(tt.want.code)
				}
				if diff := gocmp.Diff(record{tt.want.initiator, tt.want.reason, code},
					record{closed["initiator"], closed["reason"], closed["code"]}); diff != "" {
					t.Errorf("record `connection closed`, -want +got:\n%s", diff)
				}
			})
		}
	}
}
