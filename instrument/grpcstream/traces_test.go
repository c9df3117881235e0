package grpcstream_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/grpcstream"
)

const (
	traceparent  = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	remoteTrace  = "0af7651916cd43dd8448eb211c80319c"
	remoteParent = "b7ad6b7169203331"
)

// tracing is a stats.Handler that traces RPCs as otelgrpc does: by a span in the context from the tag on. Without a
// tracer it only puts the client's trace context there.
type tracing struct{ tracer trace.Tracer }

func (h tracing) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	md, _ := metadata.FromIncomingContext(ctx)
	carrier := propagation.MapCarrier{}
	for _, v := range md.Get("traceparent") {
		carrier.Set("traceparent", v)
	}
	ctx = propagation.TraceContext{}.Extract(ctx, carrier)
	if h.tracer == nil {
		return ctx
	}
	ctx, _ = h.tracer.Start(ctx, "rpc "+info.FullMethodName)
	return ctx
}

func (h tracing) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if _, ok := s.(*stats.End); ok {
		trace.SpanFromContext(ctx).End()
	}
}

func (tracing) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (tracing) HandleConn(context.Context, stats.ConnStats) {}

// TestTraces makes a streaming RPC that brings a trace context and looks at the spans, alone, with peers trusted, and
// with another handler that traces beside this one, in either order.
func TestTraces(t *testing.T) {
	type span struct{ Name, Trace, Parent, Link string }
	type options = []grpc.ServerOption
	alone := func(ours, _ options) options { return ours }
	before := func(ours, theirs options) options { return slices.Concat(ours, theirs) }
	after := func(ours, theirs options) options { return slices.Concat(theirs, ours) }
	// Traces and parents of our own making are told by the names of their spans.
	tests := map[string]struct {
		observer []instrument.Option
		order    func(ours, theirs options) options
		extracts bool   // the other does not trace
		context  string // the handler's span
		want     []span
	}{
		"alone": {
			nil, alone, false, "",
			[]span{
				{"grpc_stream.handshake", "grpc_stream.handshake", "", remoteParent},
				{"grpc_stream.close", "grpc_stream.close", "", "grpc_stream.handshake"},
			},
		},
		"trusted": {
			[]instrument.Option{instrument.WithTrustedPeers()}, alone, false, "",
			[]span{
				{"grpc_stream.handshake", remoteTrace, remoteParent, ""},
				{"grpc_stream.close", "grpc_stream.close", "", "grpc_stream.handshake"},
			},
		},
		"before another": {
			nil, before, false, "rpc " + bidiMethod,
			[]span{
				{"grpc_stream.handshake", remoteTrace, "rpc " + bidiMethod, ""},
				{"grpc_stream.close", "grpc_stream.close", "", "grpc_stream.handshake"},
				{"rpc " + bidiMethod, remoteTrace, remoteParent, ""},
			},
		},
		"after another": {
			nil, after, false, "rpc " + bidiMethod,
			[]span{
				{"grpc_stream.handshake", remoteTrace, "rpc " + bidiMethod, ""},
				{"rpc " + bidiMethod, remoteTrace, remoteParent, ""},
				{"grpc_stream.close", "grpc_stream.close", "", "grpc_stream.handshake"},
			},
		},
		"after one that only extracts the client's context": {
			nil, after, true, remoteParent,
			[]span{
				{"grpc_stream.handshake", "grpc_stream.handshake", "", remoteParent},
				{"grpc_stream.close", "grpc_stream.close", "", "grpc_stream.handshake"},
			},
		},
		"after one that only extracts, trusted": {
			[]instrument.Option{instrument.WithTrustedPeers()}, after, true, remoteParent,
			[]span{
				{"grpc_stream.handshake", remoteTrace, remoteParent, ""},
				{"grpc_stream.close", "grpc_stream.close", "", "grpc_stream.handshake"},
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			recorder := tracetest.NewSpanRecorder()
			provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
			streams, err := instrument.New(append(tt.observer, instrument.WithProtocol(grpcstream.Protocol),
				instrument.WithTracerProvider(provider))...)
			if err != nil {
				t.Fatal(err)
			}
			var theirs tracing
			if !tt.extracts {
				theirs.tracer = provider.Tracer("theirs")
			}
			ours := observedBy(t, grpcstream.Config{Streams: streams}).ServerOptions()
			opts := tt.order(ours, options{grpc.StatsHandler(theirs)})
			var inHandler trace.SpanContext
			s := new(server)
			s.start(t, &service{stream: func(s grpc.ServerStream) error {
				inHandler = trace.SpanContextFromContext(s.Context())
				return s.SendMsg(messageOf(1))
			}}, opts...)
			ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", traceparent)
			if err := receiveToEnd(dial(t, s).open(ctx, t, bidiMethod)); !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			s.GracefulStop()

			names := map[string]string{remoteTrace: remoteTrace, remoteParent: remoteParent}
			for _, ended := range recorder.Ended() {
				names[ended.SpanContext().SpanID().String()] = ended.Name()
				if !ended.Parent().IsValid() {
					names[ended.SpanContext().TraceID().String()] = ended.Name()
				}
			}
			var got []span
			for _, ended := range recorder.Ended() {
				s := span{
					Name: ended.Name(), Trace: names[ended.SpanContext().TraceID().String()],
					Parent: names[ended.Parent().SpanID().String()],
				}
				for _, l := range ended.Links() {
					s.Link += names[l.SpanContext.SpanID().String()]
				}
				got = append(got, s)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("spans, -want +got:\n%s", diff)
			}
			if name := names[inHandler.SpanID().String()]; name != tt.context {
				t.Errorf("the handler's span is %q, want %q", name, tt.context)
			}
		})
	}
}
