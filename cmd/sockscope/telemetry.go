package main

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"github.com/sockscope/sockscope/instrument/loki"
	"github.com/sockscope/sockscope/instrument/telemetry"
)

// defaultLokiURL is where the stack on this machine takes log records.
const defaultLokiURL = "http://127.0.0.1:3500/loki/api/v1/push"

// startTelemetry starts the telemetry of a command, as the standard variables say. Log records go to Loki, by its own
// protocol, unless OTEL_LOGS_EXPORTER says otherwise.
func startTelemetry(ctx context.Context, service string, opts ...telemetry.Option) (*telemetry.Telemetry, error) {
	logs, err := loki.New(cmp.Or(os.Getenv("SOCKSCOPE_LOKI_URL"), defaultLokiURL))
	if err != nil {
		return nil, fmt.Errorf("SOCKSCOPE_LOKI_URL: %w", err)
	}
	return telemetry.Start(ctx, append(opts, telemetry.WithServiceName(service), telemetry.WithLogExporter(logs))...)
}
