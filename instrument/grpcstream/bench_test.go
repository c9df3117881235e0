package grpcstream_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/grpcstream"
)

// BenchmarkEcho streams messages of 128 bytes over loopback and back: "bare" with gRPC alone, "told" with a
// stats.Handler that does nothing, which gRPC makes its events for, "observed" with everything counted, by stream and
// by connection.
func BenchmarkEcho(b *testing.B) {
	b.Run("bare", func(b *testing.B) { echo(b, nil) })
	b.Run("told", func(b *testing.B) { echo(b, told()) })
	b.Run("observed", func(b *testing.B) { echo(b, observe(b)) })
}

// BenchmarkUnary calls with messages of 128 bytes.
func BenchmarkUnary(b *testing.B) {
	b.Run("bare", func(b *testing.B) { unary(b, nil) })
	b.Run("told", func(b *testing.B) { unary(b, told()) })
	b.Run("observed", func(b *testing.B) { unary(b, observe(b)) })
}

// deaf is a stats.Handler that does nothing.
type deaf struct{}

func (deaf) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (deaf) HandleRPC(context.Context, stats.RPCStats) {}

func (deaf) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (deaf) HandleConn(context.Context, stats.ConnStats) {}

func told() []grpc.ServerOption { return []grpc.ServerOption{grpc.StatsHandler(deaf{})} }

func observe(tb testing.TB) []grpc.ServerOption {
	tb.Helper()
	unsampled := instrument.WithSampleRatio(0)
	streams, connections := record(tb, grpcstream.Protocol, unsampled), record(tb, grpcstream.ConnectionProtocol, unsampled)
	return observedBy(tb, grpcstream.Config{Streams: streams.Observer, Connections: connections.Observer}).ServerOptions()
}

func echo(b *testing.B, opts []grpc.ServerOption) {
	once := echoOnce(b, opts)
	b.SetBytes(128)
	b.ReportAllocs()
	for b.Loop() {
		once()
	}
}

// echoOnce connects a server and a client; what it returns has one message sent, received, and back.
func echoOnce(tb testing.TB, opts []grpc.ServerOption) func() {
	tb.Helper()
	s := new(server)
	s.start(tb, &service{stream: func(s grpc.ServerStream) error {
		m := new(message)
		for s.RecvMsg(m) == nil {
			if err := s.SendMsg(m); err != nil {
				return err
			}
		}
		return nil
	}}, opts...)
	stream := dial(tb, s).open(context.Background(), tb, bidiMethod)
	request, reply := messageOf(128), new(message)
	return func() {
		if err := stream.SendMsg(request); err != nil {
			tb.Fatal(err)
		}
		if err := stream.RecvMsg(reply); err != nil {
			tb.Fatal(err)
		}
	}
}

func unary(b *testing.B, opts []grpc.ServerOption) {
	s := new(server)
	s.start(b, &service{unary: func(_ context.Context, m *message) (*message, error) { return m, nil }}, opts...)
	c, ctx := dial(b, s), context.Background()
	request, reply := messageOf(128), new(message)
	b.SetBytes(128)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Invoke(ctx, unaryMethod, request, reply); err != nil {
			b.Fatal(err)
		}
	}
}

// TestNoAllocations compares a streamed message that is observed with one whose events nobody listens to.
func TestNoAllocations(t *testing.T) {
	allocations := func(opts []grpc.ServerOption) float64 { return testing.AllocsPerRun(2000, echoOnce(t, opts)) }
	if told, observed := allocations(told()), allocations(observe(t)); observed > told {
		t.Errorf("%v allocations per echo, want gRPC's %v", observed, told)
	}
}
