package telemetry

import (
	"io"
	"strings"
	"testing"
)

func TestStartNamesEveryMistake(t *testing.T) {
	tests := []struct {
		name string
		env  map[string]string
		want []string // parts of the error; none where there is nothing wrong
		not  string
	}{
		{name: "nothing set"},
		{name: "values in any case", env: map[string]string{"OTEL_TRACES_EXPORTER": " None", "OTEL_LOGS_EXPORTER": "LOKI", "OTEL_SDK_DISABLED": "False"}},
		{
			name: "unknown exporter",
			env:  map[string]string{"OTEL_LOGS_EXPORTER": "syslog"},
			want: []string{`OTEL_LOGS_EXPORTER is "syslog"`, "loki, otlp, none"},
		},
		{
			name: "several at once",
			env:  map[string]string{"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_SDK_DISABLED": "maybe"},
			want: []string{`OTEL_TRACES_EXPORTER is "zipkin"`, "otlp, none", `OTEL_EXPORTER_OTLP_PROTOCOL is "http/protobuf"`, "grpc", `OTEL_SDK_DISABLED is "maybe"`, "false, true"},
		},
		{
			name: "endpoint without a scheme",
			env:  map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"},
			want: []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"},
		},
		{
			name: "Loki's URL, whose password stays secret",
			env:  map[string]string{"SOCKSCOPE_LOKI_URL": "ftp://me:hunter2@loki"},
			want: []string{"SOCKSCOPE_LOKI_URL", "http://127.0.0.1:3500/loki/api/v1/push"},
			not:  "hunter2",
		},
		{
			name: "resource",
			env:  map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "service.namespace"},
			want: []string{"OTEL_RESOURCE_ATTRIBUTES", "key=value"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			tel, err := Start(t.Context(), WithLogWriter(io.Discard))
			if err == nil {
				err := tel.Shutdown(t.Context())
				if err != nil {
					t.Errorf("Shutdown with nothing to deliver: %v", err)
				}
			}
			if (err == nil) != (tt.want == nil) {
				t.Fatalf("Start: %v", err)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("Start: %v: does not say %s", err, part)
				}
			}
			if tt.not != "" && strings.Contains(err.Error(), tt.not) {
				t.Errorf("Start: %v: says %s", err, tt.not)
			}
		})
	}
}

func TestDisabledExportsNothing(t *testing.T) {
	local(t)
	written := newLines()
	tel := start(t, WithLogWriter(written))
	if _, span := tel.TracerProvider().Tracer("test").Start(t.Context(), "x"); span.SpanContext().IsValid() || span.IsRecording() {
		t.Error("spans are recorded")
	}
	tel.Logger().Info("still written")
	written.find(t, `"msg":"still written"`)
	if got := gatherLogMetrics(t, tel.Registry()); got != (logMetrics{}) {
		t.Errorf("metrics %+v", got)
	}
}
