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

// WithServiceName names the service, unless the environment does (OTEL_SERVICE_NAME, or service.name in
// OTEL_RESOURCE_ATTRIBUTES). The default is unknown_service:<program>.
func WithServiceName(name string) Option {
	return func(c *config) { c.serviceName = name }
}

// WithServiceVersion sets service.version, unless OTEL_RESOURCE_ATTRIBUTES sets it. By default there is none.
func WithServiceVersion(version string) Option {
	return func(c *config) { c.serviceVersion = version }
}

// WithRegistry sets the registry of the metrics, for a service that already has one. The default is a new registry. It
// is never Prometheus' global one, because any linked package may have registered metrics there.
func WithRegistry(r *prometheus.Registry) Option {
	return func(c *config) { c.registry = r }
}

// WithLogWriter sets the writer of log records. Each record is one call of Write, and calls are not concurrent. Callers
// that log wait for w. Unlike the export, it has no queue, so a record is written before the program can crash. The
// default, also for nil, is os.Stdout.
func WithLogWriter(w io.Writer) Option {
	return func(c *config) {
		if w != nil {
			c.logWriter = w
		}
	}
}

// WithLogLevel leaves out records below the level. Use a *slog.LevelVar to change the level while the service runs. The
// default, also for nil, is slog.LevelInfo.
func WithLogLevel(level slog.Leveler) Option {
	return func(c *config) {
		if level != nil {
			c.logLevel = level
		}
	}
}

// WithLogExporter sets the exporter of log records, such as that of instrument/loki. The default is OTLP. If
// OTEL_LOGS_EXPORTER is set, e is not used.
//
// Start takes over e, even if it fails, and Shutdown shuts it down. One goroutine calls Export, with batches of at most
// 512 records or about 512 KiB. Each call has ten seconds and must return when its context ends. A failed export is
// repeated with the whole batch, for as long as with OTLP. It is not repeated if the error, or an error that it wraps,
// has a method Refused() bool that returns true.
func WithLogExporter(e sdklog.Exporter) Option {
	return func(c *config) { c.logExporter = e }
}

// WithLogHandler passes all log records through the handler that wrap returns before they are written and exported. Use
// WithLogHandler(live.LogHandler) for the live console. If there are several, the first is the outermost.
func WithLogHandler(wrap func(slog.Handler) slog.Handler) Option {
	return func(c *config) {
		if wrap != nil {
			c.logHandlers = append(c.logHandlers, wrap)
		}
	}
}

// WithSpanProcessor passes all sampled spans to p, in addition to the export, and even if there is no export. Use
// WithSpanProcessor(live.SpanProcessor()) for the live console. Shutdown shuts p down.
func WithSpanProcessor(p sdktrace.SpanProcessor) Option {
	return func(c *config) {
		if p != nil {
			c.processors = append(c.processors, p)
		}
	}
}
