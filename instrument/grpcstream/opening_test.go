package grpcstream_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"

	"github.com/sockscope/sockscope/instrument/grpcstream"
)

// TestRefused has streams refused by each status, by an interceptor and by the handler, and compares what is counted.
func TestRefused(t *testing.T) {
	tests := map[codes.Code]struct{ status, kind string }{
		codes.Unauthenticated:    {"unauthorized", "auth"},
		codes.PermissionDenied:   {"forbidden", "auth"},
		codes.ResourceExhausted:  {"rate_limited", ""},
		codes.Unimplemented:      {"bad_handshake", "handshake"},
		codes.InvalidArgument:    {"bad_handshake", "handshake"},
		codes.NotFound:           {"bad_handshake", "handshake"},
		codes.AlreadyExists:      {"bad_handshake", "handshake"},
		codes.FailedPrecondition: {"bad_handshake", "handshake"},
		codes.OutOfRange:         {"bad_handshake", "handshake"},
		codes.Unavailable:        {"error", "handshake"},
		codes.Internal:           {"error", "handshake"},
		codes.Unknown:            {"error", "handshake"},
		codes.DataLoss:           {"error", "handshake"},
		codes.Aborted:            {"error", "handshake"},
		codes.DeadlineExceeded:   {"error", "handshake"},
		codes.Code(99):           {"error", "handshake"},
	}
	for code, tt := range tests {
		for _, method := range []string{clientStreamMethod, serverStreamMethod, bidiMethod} {
			t.Run(code.String()+method, func(t *testing.T) {
				t.Parallel()
				s := serve(t, &service{stream: func(grpc.ServerStream) error { return status.Error(code, "go away") }})
				c := dial(t, s)
				if err := receiveToEnd(c.open(t.Context(), t, method)); status.Code(err) != code {
					t.Fatalf("stream ended with %v, want %v", err, code)
				}
				s.streams.counted(refused(tt.status, tt.kind))
				record := s.streams.Record("handshake refused")
				if text, _ := record["error"].(string); record["status"] != tt.status || !strings.Contains(text, "go away") {
					t.Errorf("record is %v, want status %s and the error", record, tt.status)
				}
			})
		}
	}
	t.Run("by an interceptor", func(t *testing.T) {
		interceptor := func(any, grpc.ServerStream, *grpc.StreamServerInfo, grpc.StreamHandler) error {
			return status.Error(codes.Unauthenticated, "who are you?")
		}
		s := serve(t, &service{}, grpc.StreamInterceptor(interceptor))
		_ = receiveToEnd(dial(t, s).open(t.Context(), t, serverStreamMethod))
		s.streams.counted(refused("unauthorized", "auth"))
	})
	t.Run("draining", func(t *testing.T) {
		s := serve(t, &service{stream: func(grpc.ServerStream) error { return status.Error(codes.Unavailable, "") }})
		s.streams.Observer.SetDraining(true)
		_ = receiveToEnd(dial(t, s).open(t.Context(), t, bidiMethod))
		s.streams.counted(refused("draining", ""), "message", "draining")
	})
	t.Run("unknown method", func(t *testing.T) {
		s := serve(t, &service{})
		_ = receiveToEnd(dial(t, s).open(t.Context(), t, "/test.v1.Echo/Nothing"))
		s.streams.counted(refused("bad_handshake", "handshake"))
	})
}

// TestRequestTooBig has the first request of each mode refused by gRPC itself, because it is too big as it is or once
// it is decompressed.
func TestRequestTooBig(t *testing.T) {
	for _, compressor := range []string{"", gzip.Name} {
		for _, method := range []string{clientStreamMethod, serverStreamMethod, bidiMethod} {
			t.Run(compressor+method, func(t *testing.T) {
				s := serve(t, &service{stream: func(s grpc.ServerStream) error { return s.RecvMsg(new(message)) }}, grpc.MaxRecvMsgSize(tooBig))
				stream, err := dial(t, s).NewStream(t.Context(), streamDescription(method), method, grpc.UseCompressor(compressor))
				if err != nil {
					t.Fatal(err)
				}
				if err := stream.SendMsg(messageOf(tooBig)); err != nil {
					t.Fatal(err)
				}
				_ = stream.CloseSend()
				if err := receiveToEnd(stream); status.Code(err) != codes.ResourceExhausted {
					t.Fatalf("stream ended with %v, want ResourceExhausted", err)
				}
				s.streams.counted(refused("bad_handshake", "handshake"))
			})
		}
		t.Run(compressor+unaryMethod, func(t *testing.T) {
			s := serve(t, &service{}, grpc.MaxRecvMsgSize(tooBig))
			err := dial(t, s).Invoke(t.Context(), unaryMethod, messageOf(tooBig), new(message), grpc.UseCompressor(compressor))
			if status.Code(err) != codes.ResourceExhausted {
				t.Fatalf("call: %v, want ResourceExhausted", err)
			}
			s.connections.counted(map[string]float64{
				`connections_total{status="connected"}`:                1,
				`handshake_duration_seconds_count{status="connected"}`: 1,
				`active_connections{}`:                                 1,
				`errors_total{kind="read"}`:                            1,
			})
		})
	}
}

// refused is what is counted for one refused stream; kind may be empty.
func refused(status, kind string) map[string]float64 {
	want := map[string]float64{
		`connections_total{status="` + status + `"}`:                1,
		`handshake_duration_seconds_count{status="` + status + `"}`: 1,
	}
	if kind != "" {
		want[`errors_total{kind="`+kind+`"}`] = 1
	}
	return want
}

// TestOpens has streams open by each of the ways, looks at them while they are, and has them end with a status that
// would have refused them before.
func TestOpens(t *testing.T) {
	received := func(method string) map[string]float64 {
		return map[string]float64{
			`messages_total{direction="receive",type="` + method + `"}`: 1,
			`message_size_bytes_count{direction="receive"}`:             1,
			`message_size_bytes_sum{direction="receive"}`:               12,
		}
	}
	sent := map[string]float64{
		`messages_total{direction="transmit",type="` + bidiMethod + `"}`: 1,
		`message_size_bytes_count{direction="transmit"}`:                 1,
		`message_size_bytes_sum{direction="transmit"}`:                   22,
	}
	tests := map[string]struct {
		method string
		open   func(grpc.ServerStream) error
		want   map[string]float64
	}{
		"by a header":                   {bidiMethod, func(s grpc.ServerStream) error { return s.SendHeader(nil) }, nil},
		"by a message":                  {bidiMethod, func(s grpc.ServerStream) error { return s.SendMsg(messageOf(20)) }, sent},
		"by reading":                    {bidiMethod, func(s grpc.ServerStream) error { return s.RecvMsg(new(message)) }, received(bidiMethod)},
		"by lasting":                    {bidiMethod, func(grpc.ServerStream) error { return nil }, nil},
		"by lasting, after the request": {serverStreamMethod, func(grpc.ServerStream) error { return nil }, received(serverStreamMethod)},
		"by Observed": {
			bidiMethod, func(s grpc.ServerStream) error {
				if first := grpcstream.Observed(s.Context()); first == nil || first != grpcstream.Observed(s.Context()) {
					return errors.New("no handle, or another one each time")
				}
				return nil
			}, nil,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			s := serve(t, &service{stream: func(s grpc.ServerStream) error {
				if err := tt.open(s); err != nil {
					t.Error(err)
				}
				<-release
				return status.Error(codes.InvalidArgument, "too late")
			}})
			stream := dial(t, s).open(t.Context(), t, tt.method)
			if tt.method == bidiMethod {
				if err := stream.SendMsg(messageOf(10)); err != nil {
					t.Error(err)
				}
			}
			want := map[string]float64{
				`connections_total{status="connected"}`:                1,
				`handshake_duration_seconds_count{status="connected"}`: 1,
				`active_connections{}`:                                 1,
			}
			maps.Copy(want, tt.want)
			s.streams.counted(want)
			close(release)
			_ = receiveToEnd(stream)
			want = ended("local", "policy")
			maps.Copy(want, tt.want)
			s.streams.counted(want)
		})
	}
}

// TestGracefulStop has a handler end its stream because the server wants to stop, and everything counted down in the
// end.
func TestGracefulStop(t *testing.T) {
	stop := make(chan struct{})
	s := serve(t, &service{stream: func(s grpc.ServerStream) error {
		if err := s.SendHeader(nil); err != nil {
			return err
		}
		<-stop
		return status.Error(codes.Unavailable, "server stops")
	}})
	stream := dial(t, s).open(t.Context(), t, bidiMethod)
	if _, err := stream.Header(); err != nil {
		t.Fatal(err)
	}
	s.streams.Observer.SetDraining(true)
	s.connections.Observer.SetDraining(true)
	close(stop)
	s.GracefulStop()
	if err := receiveToEnd(stream); status.Code(err) != codes.Unavailable {
		t.Errorf("stream ended with %v, want Unavailable", err)
	}
	want := ended("local", "shutdown")
	s.streams.counted(want, "message", "draining")
	s.connections.counted(want, "message", "draining")
}

// TestInterruptedUnary has unary RPCs interrupted: no error of the handler's, and the connection's end tells the rest.
func TestInterruptedUnary(t *testing.T) {
	tests := map[string]struct {
		interrupt         func(*testing.T, *client, context.CancelFunc)
		initiator, reason string
	}{
		"client cancels":      {func(_ *testing.T, _ *client, cancel context.CancelFunc) { cancel() }, "remote", "going_away"},
		"connection is reset": {func(t *testing.T, c *client, _ context.CancelFunc) { c.reset(t) }, "network", "abnormal"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			called := make(chan struct{}, 1)
			s := serve(t, &service{unary: func(ctx context.Context, _ *message) (*message, error) {
				if conn := grpcstream.Observed(ctx); conn != nil {
					t.Errorf("a unary RPC has the handle %v of a stream", conn)
				}
				called <- struct{}{}
				<-ctx.Done()
				return nil, ctx.Err()
			}})
			c := dial(t, s)
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- c.Invoke(ctx, unaryMethod, messageOf(10), new(message)) }()
			<-called
			tt.interrupt(t, c, cancel)
			if err := <-done; err == nil {
				t.Error("the call succeeded")
			}
			s.connections.Expect(map[string]float64{`grpc_message_duration_seconds_count{type="` + unaryMethod + `"}`: 1})
			_ = c.Close()
			want := ended(tt.initiator, tt.reason)
			maps.Copy(want, map[string]float64{
				`message_duration_seconds_count{type="` + unaryMethod + `"}`:     1,
				`messages_total{direction="receive",type="` + unaryMethod + `"}`: 1,
				`message_size_bytes_count{direction="receive"}`:                  1,
				`message_size_bytes_sum{direction="receive"}`:                    12,
			})
			s.connections.counted(want)
		})
	}
}

// TestFieldCase18Undecodable has the first request of each mode be one that can't be decoded, which is no failure of
// the server's.
func TestFieldCase18Undecodable(t *testing.T) {
	for _, method := range []string{clientStreamMethod, serverStreamMethod, bidiMethod} {
		t.Run(method, func(t *testing.T) {
			s := serve(t, &service{stream: func(s grpc.ServerStream) error {
				if err := s.RecvMsg(new(message)); err != nil {
					return fmt.Errorf("first message: %w", err)
				}
				return nil
			}})
			stream, err := dial(t, s).NewStream(t.Context(), streamDescription(method), method, grpc.ForceCodec(raw{}))
			if err != nil {
				t.Fatal(err)
			}
			if err := stream.SendMsg("\xff\xff"); err != nil {
				t.Fatal(err)
			}
			_ = stream.CloseSend()
			if err := receiveToEnd(stream); status.Code(err) != codes.Internal {
				t.Fatalf("stream ended with %v, want Internal", err)
			}
			s.streams.counted(refused("bad_handshake", "handshake"))
		})
	}
	t.Run(unaryMethod, func(t *testing.T) {
		s := serve(t, &service{})
		err := dial(t, s).Invoke(t.Context(), unaryMethod, "\xff\xff", new(message), grpc.ForceCodec(raw{}))
		if status.Code(err) != codes.Internal {
			t.Fatalf("call: %v, want Internal", err)
		}
		s.connections.counted(map[string]float64{
			`connections_total{status="connected"}`:                1,
			`handshake_duration_seconds_count{status="connected"}`: 1,
			`active_connections{}`:                                 1,
			`errors_total{kind="decode"}`:                          1,
		})
	})
}

// raw sends strings as they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) {
	if s, ok := v.(string); ok {
		return []byte(s), nil
	}
	return nil, io.ErrUnexpectedEOF
}

func (raw) Unmarshal([]byte, any) error { return nil }

func (raw) Name() string { return "proto" }
