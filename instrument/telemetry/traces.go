package telemetry

import (
	"context"
	"fmt"
	"os"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// connectTimeout is for one attempt to connect.
const connectTimeout = 5 * time.Second

// batchWait is how long spans and log records wait for others to travel with.
const batchWait = time.Second

// connectParams has a connection that was lost tried again within seconds; gRPC's own default goes up to two minutes.
var connectParams = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: firstBackoff, Multiplier: 1.6, Jitter: 0.2, MaxDelay: maxBackoff},
	MinConnectTimeout: connectTimeout,
}

// newTracerProvider makes a provider that exports by OTLP over gRPC. The SDK's batch processor drops spans when its queue
// is full (OTEL_BSP_MAX_QUEUE_SIZE), so ending a span never waits.
func newTracerProvider(ctx context.Context, endpoint string, res *resource.Resource, d delivery) (*sdktrace.TracerProvider, error) {
	opts := []otlptracegrpc.Option{
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: false}),
		otlptracegrpc.WithDialOption(grpc.WithConnectParams(connectParams)),
	}
	if endpoint != "" {
		opts = append(opts, otlptracegrpc.WithEndpointURL(endpoint))
	}
	exporter, err := otlptracegrpc.New(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("exporter of spans: %w", err)
	}
	batching := []sdktrace.BatchSpanProcessorOption{sdktrace.WithExportTimeout(0)} // the delivery has its own
	if os.Getenv("OTEL_BSP_SCHEDULE_DELAY") == "" {
		batching = append(batching, sdktrace.WithBatchTimeout(batchWait))
	}
	return sdktrace.NewTracerProvider(
		sdktrace.WithResource(res),
		sdktrace.WithBatcher(spanExporter{exporter, d}, batching...),
	), nil
}

// spanExporter repeats and reports failed exports itself. The batch processor would hand the errors to OpenTelemetry's
// global error handler, which belongs to the program, and whose default writes each one to stderr.
type spanExporter struct {
	sdktrace.SpanExporter
	delivery delivery
}

func (e spanExporter) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.delivery.deliver(func(ctx context.Context) error {
		return refusedByGRPC(e.SpanExporter.ExportSpans(ctx, spans))
	})
	return nil
}
