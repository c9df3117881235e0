package telemetry

import (
	"context"
	"fmt"
	"os"
	"slices"

	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// maxQueueSpans is the largest number of spans that wait for the export.
const maxQueueSpans = 2048

// newTracerProvider makes a provider that exports to the named exporters.
func newTracerProvider(
	ctx context.Context, exporters []string, processors []sdktrace.SpanProcessor, env *environment, res *resource.Resource,
	d delivery, counts results,
) (*sdktrace.TracerProvider, error) {
	b := env.batching("BSP", maxQueueSpans)
	batcher := func(e sdktrace.SpanExporter, drop func()) sdktrace.TracerProviderOption {
		return sdktrace.WithSpanProcessor(newGatherer(e, b, drop))
	}
	opts := []sdktrace.TracerProviderOption{sdktrace.WithResource(res)}
	for _, p := range processors {
		opts = append(opts, sdktrace.WithSpanProcessor(p))
	}
	if slices.Contains(exporters, exporterOTLP) {
		o := env.otlp(signalTraces)
		exporter, err := o.newSpanExporter(ctx)
		if err != nil {
			return nil, err
		}
		d.timeout, d.giveUp = o.timeout, b.giveUp
		opts = append(opts, batcher(spanExporter{exporter, d, counts}, counts.dropped.Inc))
	}
	if slices.Contains(exporters, exporterConsole) {
		console, err := stdouttrace.New(stdouttrace.WithWriter(os.Stderr))
		if err != nil {
			return nil, fmt.Errorf("exporter of spans to the console: %w", err)
		}
		opts = append(opts, batcher(console, func() {}))
	}
	return sdktrace.NewTracerProvider(opts...), nil
}

// spanExporter repeats and reports failed exports itself. The batch processor would hand the errors to OpenTelemetry's
// global error handler, which belongs to the program, and whose default writes each one to stderr.
type spanExporter struct {
	sdktrace.SpanExporter
	delivery delivery
	counts   results
}

func (e spanExporter) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	result := e.delivery.deliver(func(ctx context.Context) error { return e.SpanExporter.ExportSpans(ctx, spans) })
	e.counts.settle(len(spans), result)
	return nil
}
