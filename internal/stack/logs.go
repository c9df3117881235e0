package stack

import (
	"path/filepath"

	"github.com/sockscope/sockscope/internal/endpoint"
)

// logStore is the service that keeps log records, and how other services reach it.
type logStore struct {
	service
	otlp     string // where the Collector sends records
	deskFlag string
}

// Records are kept for a week. The Collector does not accept older ones.
func victoriaLogs(at endpoint.Set, in places) logStore {
	return logStore{
		service: service{
			name: "victoria-logs", title: "VictoriaLogs", see: "logs: search and live tail",
			component: "victoria-logs",
			address:   url(at.VictoriaLogs) + "/select/vmui/", ready: url(at.VictoriaLogs) + "/health", listens: []string{at.VictoriaLogs},
			args: []string{
				"-httpListenAddr=" + at.VictoriaLogs,
				"-storageDataPath=" + filepath.Join(in.data, "victoria-logs"),
				"-retentionPeriod=7d", "-retention.maxDiskSpaceUsageBytes=5GB",
				"-memory.allowedBytes=128MiB", // of its caches
				// Records that it has not flushed are lost if it is killed. It can't flush more often.
				"-inmemoryDataFlushInterval=1s",
				"-http.disableCORS", // otherwise any web page could read log records
				// After four fifths of that time, it ends the tails that people have open. If they took the whole time,
				// it would not save the records that it has in memory.
				"-http.maxGracefulShutdownDuration=10s",
			},
		},
		otlp:     url(at.VictoriaLogs) + "/insert/opentelemetry",
		deskFlag: "--victorialogs=" + url(at.VictoriaLogs),
	}
}

// lokiOf runs a Loki that the user has installed: by its licence it is not among the components that are built.
func lokiOf(at endpoint.Set, in places, binary string) logStore {
	return logStore{
		service: service{
			name: "loki", title: "Loki", see: "logs, at the desk with their trace; its API is at " + url(at.Loki),
			component: binary,
			address:   url(at.Desk) + "/trace", ready: url(at.Loki) + "/ready", listens: []string{at.Loki, at.LokiGRPC},
			args: []string{
				"-config.file=" + filepath.Join(in.settings, "loki", "config.yaml"),
				"-config.expand-env=true",
			},
			env: []string{
				"LOKI_HOST=127.0.0.1",
				"LOKI_HTTP_PORT=" + port(at.Loki),
				"LOKI_GRPC_PORT=" + port(at.LokiGRPC),
				"LOKI_DATA=" + filepath.Join(in.data, "loki"),
			},
		},
		otlp:     url(at.Loki) + "/otlp",
		deskFlag: "--loki=" + url(at.Loki),
	}
}
