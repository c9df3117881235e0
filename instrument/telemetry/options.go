package telemetry

import (
	"io"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Option changes what [Start] sets up.
type Option func(*config)

type config struct {
	serviceName    string
	serviceVersion string
	registry       *prometheus.Registry
	logWriter      io.Writer
	logLevel       slog.Leveler
	logExporter    sdklog.Exporter
	logHandlers    []func(slog.Handler) slog.Handler
	processors     []sdktrace.SpanProcessor
}

func newConfig(opts []Option) config {
	c := config{logWriter: os.Stdout, logLevel: slog.LevelInfo}
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	if c.registry == nil {
		c.registry = prometheus.NewRegistry()
	}
	return c
}

// WithServiceName names the service unless the environment does (OTEL_SERVICE_NAME, or service.name in
// OTEL_RESOURCE_ATTRIBUTES): who runs a service has the last word. The default is unknown_service:<program>.
func WithServiceName(name string) Option {
	return func(c *config) { c.serviceName = name }
}

// WithServiceVersion sets service.version, unless OTEL_RESOURCE_ATTRIBUTES does. The default is none.
func WithServiceVersion(version string) Option {
	return func(c *config) { c.serviceVersion = version }
}

// WithRegistry has the metrics registered with r, for a service that has a registry already. The default is a new one;
// it is never Prometheus' global one, because anything linked into the program may have put metrics there.
func WithRegistry(r *prometheus.Registry) Option {
	return func(c *config) { c.registry = r }
}

// WithLogWriter has log records written to w, one in each call, and one call at a time. Whoever logs waits for w: unlike
// the export, it has no queue, so that a record is out before the program can crash. The default, also for nil, is
// os.Stdout.
func WithLogWriter(w io.Writer) Option {
	return func(c *config) {
		if w != nil {
			c.logWriter = w
		}
	}
}

// WithLogLevel leaves out records below the level; a *slog.LevelVar can be changed while the service runs. The default,
// also for nil, is slog.LevelInfo.
func WithLogLevel(level slog.Leveler) Option {
	return func(c *config) {
		if level != nil {
			c.logLevel = level
		}
	}
}

// WithLogExporter has log records exported by e instead of by OTLP, as with the exporter of instrument/loki. Whoever runs
// the service has the last word: e is not used where OTEL_LOGS_EXPORTER is set.
//
// Start takes e over, also if it fails, and Shutdown shuts it down. One goroutine calls Export, with batches of 512
// records or about 512 KiB at most, and each call has ten seconds: it must return when its context ends. An export that
// fails is repeated with the whole batch, as long as with OTLP, unless its error has, or wraps one that has, the method
// Refused() bool which returns true.
func WithLogExporter(e sdklog.Exporter) Option {
	return func(c *config) { c.logExporter = e }
}

// WithLogHandler has all log records pass through the handler that wrap returns before they are written and exported, as
// in WithLogHandler(live.LogHandler) for the live console. Of several, the first given is the outermost.
func WithLogHandler(wrap func(slog.Handler) slog.Handler) Option {
	return func(c *config) {
		if wrap != nil {
			c.logHandlers = append(c.logHandlers, wrap)
		}
	}
}

// WithSpanProcessor gives p all sampled spans, beside the export and also where there is none, as in
// WithSpanProcessor(live.SpanProcessor()) for the live console. Shutdown shuts it down.
func WithSpanProcessor(p sdktrace.SpanProcessor) Option {
	return func(c *config) {
		if p != nil {
			c.processors = append(c.processors, p)
		}
	}
}
