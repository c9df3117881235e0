package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdklog "go.opentelemetry.io/otel/sdk/log"
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

	spans        *sdktrace.TracerProvider // nil if nobody gets spans
	abandonSpans context.CancelFunc

	logs     *logExporter    // nil if log records are not exported
	unused   sdklog.Exporter // of WithLogExporter, nil if it is used
	logsHint string          // where to look if log records can't be delivered

	mu        sync.Mutex
	observers []*instrument.Observer // for Serve to drain

	shutdown    sync.Once
	shutdownErr error
}

// Start sets up traces, metrics and logs. The options and the environment configure them, and the package comment lists
// the variables. Start fails if the registry serves another Start already. It does not fail because a backend is away,
// or because of the environment: a variable with a value that is not understood is ignored, with a warning in the log.
func Start(ctx context.Context, opts ...Option) (*Telemetry, error) {
	c, env := newConfig(opts), &environment{}
	res := newResource(ctx, c, env)
	t := &Telemetry{
		registry:     c.registry,
		output:       &output{service: value(res, "service.name"), writer: c.logWriter},
		abandonSpans: func() {},
		unused:       c.logExporter,
	}
	var logs slog.Handler = &handler{level: c.logLevel, out: t.output}
	for _, wrap := range slices.Backward(c.logHandlers) {
		logs = wrap(logs)
	}
	t.logger = slog.New(instrument.NewLogHandler(logs))
	t.metrics = newMetricsHandler(c.registry, t.output.errorLog())
	if err := t.start(ctx, c, env, res); err != nil {
		return nil, errors.Join(fmt.Errorf("telemetry: %w", err), t.Shutdown(ctx))
	}
	for _, err := range env.warnings {
		t.output.errorLog().WarnContext(ctx, "environment variable ignored", "error", err)
	}
	return t, nil
}

func (t *Telemetry) start(ctx context.Context, c config, env *environment, res *resource.Resource) error {
	if err := registerRuntime(c.registry); err != nil {
		return err
	}
	counts, err := newLogCounts(t.registry)
	if err != nil {
		return err
	}
	spans, err := newSpanCounts(t.registry)
	if err != nil || env.boolean("OTEL_SDK_DISABLED") {
		return err
	}
	if err := t.startTraces(ctx, env, res, c.processors, spans); err != nil {
		return err
	}
	return t.startLogs(ctx, env, res, counts)
}

func (t *Telemetry) startTraces(
	ctx context.Context, env *environment, res *resource.Resource, processors []sdktrace.SpanProcessor, counts results,
) (err error) {
	exporters := env.exporters(signalTraces, exporterOTLP)
	if len(exporters)+len(processors) == 0 {
		return nil
	}
	var d delivery
	d.failing = newWarning(t.output.errorLog(), "span export failed")
	d.ctx, t.abandonSpans = context.WithCancel(context.Background())
	t.spans, err = newTracerProvider(ctx, exporters, processors, env, res, d, counts)
	return err
}

// startLogs starts the export of log records. The console needs no export, because the logger writes there anyway.
func (t *Telemetry) startLogs(ctx context.Context, env *environment, res *resource.Resource, counts *logCounts) error {
	const given = "given" // by WithLogExporter
	fallback := exporterOTLP
	if t.unused != nil {
		fallback = given
	}
	var exporter sdklog.Exporter
	d := delivery{failing: newWarning(t.output.errorLog(), "log export failed"), timeout: defaultTimeout}
	switch exporters := env.exporters(signalLogs, fallback); {
	case slices.Contains(exporters, given):
		exporter, t.unused = t.unused, nil
	case slices.Contains(exporters, exporterOTLP):
		o := env.otlp(signalLogs)
		var err error
		if exporter, err = o.newLogExporter(ctx); err != nil {
			return err
		}
		d.timeout, t.logsHint = o.timeout, " (OTEL_EXPORTER_OTLP_ENDPOINT)"
	default:
		return nil
	}
	b := env.batching("BLRP", maxQueueRecords)
	d.giveUp = b.giveUp
	t.logs = newLogExporter(exporter, b, d, res, counts)
	t.output.exporter = t.logs
	return nil
}

// NewObserver returns an Observer that uses t's tracer provider, logger and registry, unless the options set others. It
// fails if an option is wrong, or if t already serves an observer of the same namespace and protocol.
func (t *Telemetry) NewObserver(opts ...instrument.Option) (*instrument.Observer, error) {
	own := []instrument.Option{instrument.WithTracerProvider(t.TracerProvider()), instrument.WithLogger(t.Logger())}
	o, err := instrument.New(append(own, opts...)...)
	if err != nil {
		return nil, err
	}
	if err := t.registry.Register(o); err != nil {
		return nil, fmt.Errorf("telemetry: register the observer: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.observers = append(t.observers, o)
	return o, nil
}

// TracerProvider returns the provider of tracers whose spans are exported. If spans are neither exported nor processed,
// they cost next to nothing and have no trace id.
func (t *Telemetry) TracerProvider() trace.TracerProvider {
	if t.spans == nil {
		return noop.NewTracerProvider()
	}
	return t.spans
}

// Logger returns the logger whose records are written as JSON and exported. A record logged with a context has the ids
// of the context's span and connection.
func (t *Telemetry) Logger() *slog.Logger { return t.logger }

// Registry returns the registry whose metrics are served. It has the metrics of Go's runtime, of the process and of log
// export.
func (t *Telemetry) Registry() *prometheus.Registry { return t.registry }

// MetricsHandler returns the handler for /metrics. It serves OpenMetrics with exemplars, protobuf with native
// histograms, or plain text, as the scraper asks.
func (t *Telemetry) MetricsHandler() http.Handler { return t.metrics }

// Shutdown delivers queued spans and then queued log records, so a record about the spans is still delivered. It
// returns when ctx ends, even if a backend hangs, or after ten seconds if ctx has no deadline. Spans get at most half
// of the time. Spans and records that could not be delivered are dropped, and the error says so. Later calls return the
// result of the first.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
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
	if t.unused != nil {
		if err := t.unused.Shutdown(ctx); err != nil {
			return fmt.Errorf("telemetry: the exporter of log records: %w", err)
		}
	}
	if t.logs == nil {
		return nil
	}
	if err := t.logs.shutdown(ctx); err != nil {
		return fmt.Errorf("telemetry: is the receiver of log records reachable%s? %w", t.logsHint, err)
	}
	return nil
}
