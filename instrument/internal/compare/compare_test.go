package compare

import (
	"context"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/otelconnect"
	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sockscope/sockscope/instrument"
)

// BenchmarkMessage is one received message, on one processor. What each does: "resolved" increments a counter and
// observes a size in histograms that were looked up before, the least that yields such metrics with client_golang;
// "sockscope" does that, and keeps the totals and the liveness of the connection; "labels" looks the same instruments
// up for each message; "otel-metrics" does with OpenTelemetry's metrics SDK what "resolved" does, with a set of
// attributes that was made before; "go-grpc-middleware" counts only; "otelconnect" wraps the stream and, since v0.12,
// records nothing per message. Centrifuge's metrics can't be called from outside of it.
func BenchmarkMessage(b *testing.B) {
	b.Run("resolved", func(b *testing.B) {
		messages, size := instruments()
		m, s := messages.WithLabelValues("receive", "message"), size.WithLabelValues("receive")
		b.ReportAllocs()
		for b.Loop() {
			m.Inc()
			s.Observe(128)
		}
	})
	b.Run("sockscope", func(b *testing.B) {
		c, message := connection(b)
		b.ReportAllocs()
		for b.Loop() {
			c.Received(message, 128)
		}
	})
	b.Run("labels", func(b *testing.B) {
		messages, size := instruments()
		b.ReportAllocs()
		for b.Loop() {
			messages.WithLabelValues("receive", "message").Inc()
			size.WithLabelValues("receive").Observe(128)
		}
	})
	b.Run("otel-metrics", func(b *testing.B) {
		m := newOtelMetrics(b)
		ctx := b.Context()
		b.ReportAllocs()
		for b.Loop() {
			m.messages.Add(ctx, 1, m.add)
			m.size.Record(ctx, 128, m.record)
		}
	})
	b.Run("go-grpc-middleware", grpcMiddleware)
	b.Run("otelconnect", connectInterceptor)
}

// BenchmarkTimed is one received message whose handling is timed and that has no span. "classic" is client_golang with
// classic buckets only, looked up before.
func BenchmarkTimed(b *testing.B) {
	b.Run("classic", func(b *testing.B) {
		messages := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "messages_total"}, []string{"direction", "type"}).
			WithLabelValues("receive", "message")
		size := prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "size_bytes", Buckets: prometheus.ExponentialBuckets(64, 4, 8),
		})
		duration := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "duration_seconds", Buckets: durations()})
		b.ReportAllocs()
		for b.Loop() {
			start := time.Now()
			messages.Inc()
			size.Observe(128)
			duration.Observe(time.Since(start).Seconds())
		}
	})
	b.Run("sockscope", func(b *testing.B) {
		c, message := connection(b, instrument.WithSampleRatio(0))
		handle(b, c, message)
	})
	b.Run("otel-metrics", func(b *testing.B) {
		m := newOtelMetrics(b)
		ctx := b.Context()
		b.ReportAllocs()
		for b.Loop() {
			start := time.Now()
			m.messages.Add(ctx, 1, m.add)
			m.size.Record(ctx, 128, m.record)
			m.duration.Record(ctx, time.Since(start).Seconds(), m.record)
		}
	})
}

// BenchmarkSpan is one received message with a span, through the SDK and no further. "otel-spans" is the least that is
// written by hand, the span with type and size; "sockscope" has the metrics, too, and a link to the handshake's span.
func BenchmarkSpan(b *testing.B) {
	b.Run("otel-spans", func(b *testing.B) {
		tracer := sdktrace.NewTracerProvider().Tracer("compare")
		ctx := b.Context()
		b.ReportAllocs()
		for b.Loop() {
			_, span := tracer.Start(ctx, "message", trace.WithSpanKind(trace.SpanKindConsumer),
				trace.WithAttributes(attribute.String("message.type", "message"), attribute.Int("message.size", 128)))
			span.End()
		}
	})
	b.Run("sockscope", func(b *testing.B) {
		c, message := connection(b, instrument.WithSampleRatio(1), instrument.WithSpanLimit(1<<30),
			instrument.WithTracerProvider(sdktrace.NewTracerProvider()))
		handle(b, c, message)
	})
}

func handle(b *testing.B, c *instrument.Conn, message instrument.MessageType) {
	ctx := c.Context(b.Context())
	b.ReportAllocs()
	for b.Loop() {
		_, m := c.BeginMessage(ctx, message, 128, nil)
		m.End(nil)
	}
}

// durations are the bounds that instrument's classic buckets have by default.
func durations() []float64 {
	return []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
}

// otelMetrics are the same instruments of OpenTelemetry's metrics SDK.
type otelMetrics struct {
	messages metric.Int64Counter
	size     metric.Int64Histogram
	duration metric.Float64Histogram
	add      metric.AddOption
	record   metric.RecordOption
}

func newOtelMetrics(b *testing.B) otelMetrics {
	b.Helper()
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())).Meter("compare")
	messages, err := meter.Int64Counter("messages")
	if err != nil {
		b.Fatal(err)
	}
	size, err := meter.Int64Histogram("size", metric.WithExplicitBucketBoundaries(prometheus.ExponentialBuckets(64, 4, 8)...))
	if err != nil {
		b.Fatal(err)
	}
	duration, err := meter.Float64Histogram("duration", metric.WithExplicitBucketBoundaries(durations()...))
	if err != nil {
		b.Fatal(err)
	}
	set := metric.WithAttributeSet(attribute.NewSet(attribute.String("direction", "receive"), attribute.String("type", "message")))
	return otelMetrics{messages, size, duration, set, set}
}

func instruments() (*prometheus.CounterVec, *prometheus.HistogramVec) {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "messages_total"}, []string{"direction", "type"}),
		prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "size_bytes", Buckets: prometheus.ExponentialBuckets(64, 4, 8),
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"direction"})
}

func connection(b *testing.B, opts ...instrument.Option) (*instrument.Conn, instrument.MessageType) {
	b.Helper()
	o, err := instrument.New(append(opts, instrument.WithMessageTypes("message"))...)
	if err != nil {
		b.Fatal(err)
	}
	_, h := o.BeginHandshake(b.Context(), instrument.Request{})
	return h.Opened(http.StatusSwitchingProtocols), o.MessageType("message")
}

// grpcStream has a message at any time.
type grpcStream struct{ grpc.ServerStream }

func (grpcStream) Context() context.Context { return context.Background() }

func (grpcStream) RecvMsg(any) error { return nil }

func grpcMiddleware(b *testing.B) {
	info := &grpc.StreamServerInfo{FullMethod: "/chat.Chat/Talk", IsClientStream: true, IsServerStream: true}
	err := grpcprom.NewServerMetrics().StreamServerInterceptor()(nil, grpcStream{}, info, func(_ any, s grpc.ServerStream) error {
		message := wrapperspb.Bytes(make([]byte, 128))
		b.ReportAllocs()
		for b.Loop() {
			if err := s.RecvMsg(message); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// connectStream has a message at any time.
type connectStream struct{ connect.StreamingHandlerConn }

func (connectStream) Spec() connect.Spec {
	return connect.Spec{StreamType: connect.StreamTypeBidi, Procedure: "/chat.Chat/Talk"}
}

func (connectStream) Peer() connect.Peer {
	return connect.Peer{Addr: "127.0.0.1:1", Protocol: connect.ProtocolConnect}
}

func (connectStream) RequestHeader() http.Header { return http.Header{} }

func (connectStream) ResponseHeader() http.Header { return http.Header{} }

func (connectStream) Receive(any) error { return nil }

func connectInterceptor(b *testing.B) {
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	interceptor, err := otelconnect.NewInterceptor(otelconnect.WithMeterProvider(provider))
	if err != nil {
		b.Fatal(err)
	}
	handle := interceptor.WrapStreamingHandler(func(_ context.Context, s connect.StreamingHandlerConn) error {
		message := wrapperspb.Bytes(make([]byte, 128))
		b.ReportAllocs()
		for b.Loop() {
			if err := s.Receive(message); err != nil {
				return err
			}
		}
		return nil
	})
	if err := handle(b.Context(), connectStream{}); err != nil {
		b.Fatal(err)
	}
}
