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
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sockscope/sockscope/instrument"
)

// BenchmarkMessage is one received message, on one processor. What each does: "resolved" increments a counter and
// observes a size in histograms that were looked up before, the least that yields such metrics with client_golang;
// "sockscope" does that, and keeps the totals and the liveness of the connection; "labels" looks the same instruments up
// for each message; "go-grpc-middleware" counts only; "otelconnect" wraps the stream and, since v0.12, records nothing
// per message. Centrifuge's metrics can't be called from outside of it.
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
	b.Run("go-grpc-middleware", grpcMiddleware)
	b.Run("otelconnect", connectInterceptor)
}

func instruments() (*prometheus.CounterVec, *prometheus.HistogramVec) {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "messages_total"}, []string{"direction", "type"}),
		prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "size_bytes", Buckets: prometheus.ExponentialBuckets(64, 4, 8),
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"direction"})
}

func connection(b *testing.B) (*instrument.Conn, instrument.MessageType) {
	o, err := instrument.New(instrument.WithMessageTypes("message"))
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
