package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/sockscope/sockscope/instrument"
)

// shutdownLimit bounds a Shutdown whose context has no deadline.
const shutdownLimit = 10 * time.Second

// Telemetry is a service's traces, metrics and logs. Its methods may be called concurrently.
type Telemetry struct {
	registry *prometheus.Registry
	metrics  http.Handler
	logger   *slog.Logger
	output   *output

	spans        *sdktrace.TracerProvider // nil where spans are not exported
	abandonSpans context.CancelFunc

	shutdown    sync.Once
	shutdownErr error
}

// Start sets up traces, metrics and logs as the environment says; the package comment lists the variables. It fails if
// one of them is malformed, or if the registry serves another Start already. It does not fail because a backend is away.
func Start(ctx context.Context, opts ...Option) (*Telemetry, error) {
	c := newConfig(opts)
	env, err := readEnvironment()
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	res, err := newResource(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	t := &Telemetry{
		registry:     c.registry,
		output:       &output{service: value(res, "service.name"), writer: c.logWriter},
		abandonSpans: func() {},
	}
	t.logger = slog.New(instrument.NewLogHandler(&handler{level: c.logLevel, out: t.output}))
	t.metrics = newMetricsHandler(c.registry, t.output.errorLog())
	if err := registerRuntime(c.registry); err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	// Logs come last: their exporter has a goroutine that an error after it would have to stop.
	if err := errors.Join(t.startTraces(ctx, env, res), t.startLogs(ctx, env, res)); err != nil {
		return nil, errors.Join(fmt.Errorf("telemetry: %w", err), t.Shutdown(ctx))
	}
	return t, nil
}

func (t *Telemetry) startTraces(ctx context.Context, env environment, res *resource.Resource) (err error) {
	if env.tracesExporter == exporterNone {
		return nil
	}
	var d delivery
	d.failing = newWarning(t.output.errorLog(), "span export failed")
	d.ctx, t.abandonSpans = context.WithCancel(context.Background())
	t.spans, err = newTracerProvider(ctx, env.tracesEndpoint, res, d)
	return err
}

func (t *Telemetry) startLogs(ctx context.Context, env environment, res *resource.Resource) error {
	counts, err := newLogCounts(t.registry)
	if err != nil {
		return err
	}
	failing := newWarning(t.output.errorLog(), "log export failed")
	switch env.logsExporter {
	case exporterLoki:
		e, err := newLokiExporter(env.lokiURL, res, counts, failing)
		if err != nil {
			return err
		}
		t.output.exporter = e
	case exporterOTLP:
		e, err := newOTLPLogExporter(ctx, env.logsEndpoint, res, counts, failing)
		if err != nil {
			return err
		}
		t.output.exporter = e
	}
	return nil
}

// TracerProvider returns the provider of tracers whose spans are exported. Where they are not, its spans cost next to
// nothing and have no trace id.
func (t *Telemetry) TracerProvider() trace.TracerProvider {
	if t.spans == nil {
		return noop.NewTracerProvider()
	}
	return t.spans
}

// Logger returns the logger whose records are written as JSON and exported. A record that is logged with a context
// carries the ids of the context's span and connection.
func (t *Telemetry) Logger() *slog.Logger { return t.logger }

// Registry returns the registry whose metrics are served. It has the metrics of Go's runtime, of the process and of log
// export.
func (t *Telemetry) Registry() *prometheus.Registry { return t.registry }

// MetricsHandler returns the handler for /metrics. It serves OpenMetrics with exemplars, protobuf with native histograms,
// or plain text, as the scraper asks.
func (t *Telemetry) MetricsHandler() http.Handler { return t.metrics }

// Shutdown delivers what is queued, first spans, then log records, so that a record about the spans is still delivered.
// It returns when ctx ends even if a backend hangs, or after ten seconds if ctx has no deadline; spans get half of the
// time at most. What could not be delivered is dropped, and the error says so. Later calls return the first one's result.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	t.shutdown.Do(func() {
		ctx, cancel := context.WithTimeout(ctx, shutdownLimit)
		defer cancel()
		t.shutdownErr = errors.Join(t.shutdownTraces(ctx), t.shutdownLogs(ctx))
	})
	return t.shutdownErr
}

func (t *Telemetry) shutdownTraces(ctx context.Context) error {
	defer t.abandonSpans()
	if t.spans == nil {
		return nil
	}
	deadline, _ := ctx.Deadline()
	ctx, cancel := context.WithTimeout(ctx, time.Until(deadline)/2)
	defer cancel()
	if err := t.spans.Shutdown(ctx); err != nil {
		return fmt.Errorf("telemetry: spans may be lost, is the Collector reachable (OTEL_EXPORTER_OTLP_ENDPOINT)? %w", err)
	}
	return nil
}

func (t *Telemetry) shutdownLogs(ctx context.Context) error {
	if t.output.exporter == nil {
		return nil
	}
	if err := t.output.exporter.shutdown(ctx); err != nil {
		return fmt.Errorf("telemetry: is the receiver of logs reachable (SOCKSCOPE_LOKI_URL, or OTEL_EXPORTER_OTLP_ENDPOINT)? %w", err)
	}
	return nil
}
