package telemetry

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
)

const (
	defaultOTLPEndpoint = "http://127.0.0.1:4317"
	defaultLokiURL      = "http://127.0.0.1:3500/loki/api/v1/push"
)

// Values of OTEL_TRACES_EXPORTER and OTEL_LOGS_EXPORTER.
const (
	exporterOTLP = "otlp"
	exporterLoki = "loki"
	exporterNone = "none"
)

// environment holds the variables that this package decides by. The OpenTelemetry exporters read more of the standard
// ones themselves.
type environment struct {
	tracesExporter string
	logsExporter   string
	tracesEndpoint string // empty where the exporter finds it in the environment
	logsEndpoint   string // likewise
	lokiURL        *url.URL
}

// readEnvironment checks all variables before anything is set up and reports every mistake at once: the exporters
// would report a malformed one on stderr and go on with a default.
func readEnvironment() (environment, error) {
	var env environment
	var errs []error
	choose := func(name string, allowed ...string) string {
		value := strings.ToLower(strings.TrimSpace(os.Getenv(name)))
		if value == "" {
			return allowed[0]
		}
		if !slices.Contains(allowed, value) {
			errs = append(errs, fmt.Errorf("%s is %q: it may be %s", name, os.Getenv(name), strings.Join(allowed, ", ")))
		}
		return value
	}
	address := func(name, fallback string) *url.URL {
		value := os.Getenv(name)
		if value == "" {
			value = fallback
		}
		u, err := url.Parse(value)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			errs = append(errs, fmt.Errorf("%s is not a URL such as %s", name, fallback)) // its value may hold a password
			return nil
		}
		return u
	}

	env.tracesExporter = choose("OTEL_TRACES_EXPORTER", exporterOTLP, exporterNone)
	env.logsExporter = choose("OTEL_LOGS_EXPORTER", exporterLoki, exporterOTLP, exporterNone)
	if choose("OTEL_SDK_DISABLED", "false", "true") == "true" {
		env.tracesExporter, env.logsExporter = exporterNone, exporterNone
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL"} {
		choose(name, "grpc")
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"} {
		address(name, defaultOTLPEndpoint)
	}
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" {
		if os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
			env.tracesEndpoint = defaultOTLPEndpoint
		}
		if os.Getenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT") == "" {
			env.logsEndpoint = defaultOTLPEndpoint
		}
	}
	env.lokiURL = address("SOCKSCOPE_LOKI_URL", defaultLokiURL)
	return env, errors.Join(errs...)
}
