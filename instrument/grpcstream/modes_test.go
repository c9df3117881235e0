package grpcstream_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/grpcstream"
)

// TestModes makes one RPC of each mode and compares everything that both observers have counted.
func TestModes(t *testing.T) {
	srv := &service{
		unary: func(context.Context, *message) (*message, error) { return messageOf(20), nil },
		stream: func(s grpc.ServerStream) error {
			method, _ := grpc.MethodFromServerStream(s)
			for method != serverStreamMethod && s.RecvMsg(new(message)) == nil {
				if method == bidiMethod {
					if err := s.SendMsg(messageOf(20)); err != nil {
						return err
					}
				}
			}
			replies := map[string]int{clientStreamMethod: 1, serverStreamMethod: 3}[method]
			for range replies {
				if err := s.SendMsg(messageOf(20)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	// A message of 10 bytes is 12 long in protobuf, one of 20 bytes 22.
	messages := func(method string, received, sent float64) map[string]float64 {
		return map[string]float64{
			`messages_total{direction="receive",type="` + method + `"}`:  received,
			`messages_total{direction="transmit",type="` + method + `"}`: sent,
			`message_size_bytes_count{direction="receive"}`:              received,
			`message_size_bytes_count{direction="transmit"}`:             sent,
			`message_size_bytes_sum{direction="receive"}`:                12 * received,
			`message_size_bytes_sum{direction="transmit"}`:               22 * sent,
		}
	}
	tests := map[string]struct {
		method         string
		sends          int
		received, sent float64
	}{
		"unary":            {unaryMethod, 1, 1, 1},
		"client streaming": {clientStreamMethod, 5, 5, 1},
		"server streaming": {serverStreamMethod, 0, 1, 3},
		"bidirectional":    {bidiMethod, 4, 4, 4},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := serve(t, srv)
			c := dial(t, s)
			if err := call(t, c, tt.method, tt.sends); err != nil {
				t.Fatal(err)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			streams, connections := map[string]float64{}, ended("remote", "going_away")
			if tt.method == unaryMethod {
				connections[`message_duration_seconds_count{type="`+unaryMethod+`"}`] = 1
			} else {
				streams = ended("local", "normal")
				maps.Copy(streams, messages(tt.method, tt.received, tt.sent))
			}
			maps.Copy(connections, messages(tt.method, tt.received, tt.sent))
			s.streams.counted(streams)
			s.connections.counted(connections)
		})
	}
}

// call makes an RPC with as many messages of 10 bytes and waits for its end.
func call(t *testing.T, c *client, method string, sends int) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if method == unaryMethod {
		return c.Invoke(ctx, method, messageOf(10), new(message))
	}
	stream := c.open(ctx, t, method)
	for range sends {
		if err := stream.SendMsg(messageOf(10)); err != nil {
			return err
		}
	}
	if method != serverStreamMethod {
		if err := stream.CloseSend(); err != nil {
			return err
		}
	}
	if err := receiveToEnd(stream); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// TestUnary has unary RPCs fail and compares which of it is an error.
func TestUnary(t *testing.T) {
	tests := map[codes.Code]string{
		codes.OK: "", codes.Canceled: "", codes.InvalidArgument: "", codes.NotFound: "", codes.AlreadyExists: "",
		codes.ResourceExhausted: "", codes.FailedPrecondition: "", codes.Aborted: "", codes.OutOfRange: "",
		codes.Unknown: "handler", codes.DeadlineExceeded: "timeout", codes.Unimplemented: "handler", codes.Internal: "handler",
		codes.Unavailable: "handler", codes.DataLoss: "handler",
		codes.Unauthenticated: "auth", codes.PermissionDenied: "auth",
	}
	for code, kind := range tests {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			s := serve(t, &service{unary: func(context.Context, *message) (*message, error) {
				return new(message), status.Error(code, "as told")
			}})
			c := dial(t, s)
			if err := call(t, c, unaryMethod, 1); status.Code(err) != code {
				t.Fatalf("call: %v, want %v", err, code)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			want := ended("remote", "going_away")
			maps.Copy(want, map[string]float64{
				`message_duration_seconds_count{type="` + unaryMethod + `"}`:     1,
				`messages_total{direction="receive",type="` + unaryMethod + `"}`: 1,
				`message_size_bytes_count{direction="receive"}`:                  1,
				`message_size_bytes_sum{direction="receive"}`:                    12,
			})
			if code == codes.OK {
				want[`messages_total{direction="transmit",type="`+unaryMethod+`"}`] = 1
				want[`message_size_bytes_count{direction="transmit"}`] = 1
			}
			if kind != "" {
				want[`errors_total{kind="`+kind+`"}`] = 1
			}
			s.connections.counted(want)
			s.streams.counted(map[string]float64{})
		})
	}
}

// TestFieldCase18UnarySpans has otelgrpc's place taken by a handler that traces, and unary RPCs that are sampled, slow
// and failed: there is no other span of them, and the log records point at that one.
func TestFieldCase18UnarySpans(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	connections := record(t, grpcstream.ConnectionProtocol, instrument.WithSampleRatio(1),
		instrument.WithSlowThreshold(time.Nanosecond), instrument.WithTracerProvider(provider))
	h := observedBy(t, grpcstream.Config{Connections: connections.Observer})
	s := new(server)
	s.start(t, &service{unary: func(context.Context, *message) (*message, error) {
		return nil, status.Error(codes.Internal, "as told")
	}}, append(h.ServerOptions(), grpc.StatsHandler(tracing{tracer: provider.Tracer("theirs")}))...)
	c := dial(t, s)
	if err := call(t, c, unaryMethod, 1); status.Code(err) != codes.Internal {
		t.Fatalf("call: %v, want Internal", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	want := ended("remote", "going_away")
	maps.Copy(want, map[string]float64{
		`message_duration_seconds_count{type="` + unaryMethod + `"}`:     1,
		`messages_total{direction="receive",type="` + unaryMethod + `"}`: 1,
		`message_size_bytes_count{direction="receive"}`:                  1,
		`message_size_bytes_sum{direction="receive"}`:                    12,
		`errors_total{kind="handler"}`:                                   1,
	})
	connections.counted(want)

	var names []string
	var theirs trace.SpanContext
	for _, span := range spans.Ended() {
		names = append(names, span.Name())
		if span.Name() == "rpc "+unaryMethod {
			theirs = span.SpanContext()
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{"grpc.close", "grpc.handshake", "rpc " + unaryMethod}, names); diff != "" {
		t.Errorf("spans, -want +got:\n%s", diff)
	}
	if failed := connections.Record("message failed"); failed["span_id"] != theirs.SpanID().String() {
		t.Errorf("record `message failed` has the span %v, want %v", failed["span_id"], theirs.SpanID())
	}
}
