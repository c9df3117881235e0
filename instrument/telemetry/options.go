package telemetry

import (
	"io"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"
)

// Option changes what [Start] sets up.
type Option func(*config)

type config struct {
	serviceName    string
	serviceVersion string
	registry       *prometheus.Registry
	logWriter      io.Writer
	logLevel       slog.Leveler
}

func newConfig(opts []Option) config {
	c := config{logWriter: os.Stdout, logLevel: slog.LevelInfo}
	for _, opt := range opts {
		opt(&c)
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
// the export, it has no queue, so that a record is out before the program can crash. The default is os.Stdout.
func WithLogWriter(w io.Writer) Option {
	return func(c *config) { c.logWriter = w }
}

// WithLogLevel leaves out records below the level; a *slog.LevelVar can be changed while the service runs. The default
// is slog.LevelInfo.
func WithLogLevel(level slog.Leveler) Option {
	return func(c *config) { c.logLevel = level }
}
