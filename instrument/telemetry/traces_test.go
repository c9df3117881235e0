package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
)

func endSpan(tel *Telemetry, name string, attrs ...attribute.KeyValue) {
	_, span := tel.TracerProvider().Tracer("test").Start(context.Background(), name, trace.WithAttributes(attrs...))
	span.End()
}

func TestSpansCarryTheResource(t *testing.T) {
	tests := []struct {
		name     string
		env      map[string]string
		opts     []Option
		resource map[string]any
	}{
		{
			name: "from options",
			opts: []Option{WithServiceName("chat"), WithServiceVersion("1.2.3")},
			resource: map[string]any{
				"service.name": "chat", "service.version": "1.2.3", "service.instance.id": instance(t),
			},
		},
		{
			name: "the environment wins",
			env: map[string]string{
				"OTEL_SERVICE_NAME":        "feed",
				"OTEL_RESOURCE_ATTRIBUTES": "service.namespace=sockscope,service.instance.id=feed-7,deployment.environment.name=test,service.name=x",
			},
			opts: []Option{WithServiceName("chat")},
			resource: map[string]any{
				"service.name": "feed", "service.namespace": "sockscope", "service.instance.id": "feed-7", "deployment.environment.name": "test",
			},
		},
		{
			name:     "nothing said",
			resource: map[string]any{"service.name": "unknown_service:telemetry.test", "service.instance.id": instance(t)},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			c := newCollector(t, protocolGRPC)
			c.serve(nil)
			tel := start(t, append(tt.opts, WithLogWriter(io.Discard))...)
			endSpan(tel, "websocket.handshake", attribute.String("websocket.namespace", "rooms"))
			if err := tel.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			if len(c.spans) != 1 || len(c.spanNames()) != 1 {
				t.Fatalf("exported %v, want one span", c.spanNames())
			}
			tt.resource["telemetry.sdk.name"] = "opentelemetry"
			tt.resource["telemetry.sdk.language"] = "go"
			tt.resource["telemetry.sdk.version"] = sdk.Version()
			if diff := cmp.Diff(tt.resource, plain(c.spans[0].GetResource().GetAttributes())); diff != "" {
				t.Errorf("resource (-want +got):\n%s", diff)
			}
			span := c.spans[0].GetScopeSpans()[0].GetSpans()[0]
			if diff := cmp.Diff(map[string]any{"websocket.namespace": "rooms"}, plain(span.GetAttributes())); span.GetName() != "websocket.handshake" || diff != "" {
				t.Errorf("span %s: attributes (-want +got):\n%s", span.GetName(), diff)
			}
		})
	}
}

func instance(t *testing.T) string {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s:%d", host, os.Getpid())
}

func TestSpansOutliveAnOutage(t *testing.T) {
	for _, protocol := range protocols() {
		for name, begin := range outages() {
			t.Run(protocol+"/"+name, func(t *testing.T) {
				c := newCollector(t, protocol)
				begin(c)
				written := newLines()
				tel := start(t, WithLogWriter(written))
				endSpan(tel, "first")
				if name != "hanging" { // where the attempt has not failed yet
					written.find(t, `"level":"warn"`, `"msg":"span export failed"`)
				}
				within(t, "ending more spans than a queue holds", func() {
					for range 10_000 {
						endSpan(tel, "more")
					}
				})
				if got := spanResults(t, tel)["dropped"]; got != 10_001-maxQueueSpans {
					t.Errorf("%v spans are dropped, want all but the %d that the queue holds", got, maxQueueSpans)
				}
				c.serve(nil)
				eventually(t, "the first span arrives", func() bool {
					names := c.spanNames()
					return len(names) > 0 && names[0] == "first"
				})
			})
		}
	}
}

// spanResults returns sockscope_spans_total by result.
func spanResults(t *testing.T, tel *Telemetry) map[string]float64 {
	t.Helper()
	families, err := tel.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "sockscope_spans_total" {
			for _, m := range f.GetMetric() {
				got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	return got
}

func TestHangingCollectorLeavesTimeForLogs(t *testing.T) {
	for _, protocol := range protocols() {
		t.Run(protocol, func(t *testing.T) {
			c := newCollector(t, protocol)
			c.serve(hang)
			t.Setenv("OTEL_LOGS_EXPORTER", "")
			logs := newGiven()
			tel := start(t, WithLogWriter(io.Discard), WithLogExporter(logs))
			endSpan(tel, "stuck")
			tel.Logger().Info("last words")

			ctx, cancel := context.WithTimeout(context.Background(), 4*shortly)
			defer cancel()
			var err error
			within(t, "Shutdown", func() { err = tel.Shutdown(ctx) })
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_ENDPOINT") || strings.Contains(err.Error(), "log records") {
				t.Errorf("Shutdown: %v: want it to be about the spans, and only about them", err)
			}
			if len(logs.records) != 1 || <-logs.records != "last words" {
				t.Error("the last words are lost")
			}
		})
	}
}

func TestRefusedSpansAreGivenUp(t *testing.T) {
	for _, protocol := range protocols() {
		t.Run(protocol, func(t *testing.T) {
			c := newCollector(t, protocol)
			c.serve(refuse(codes.InvalidArgument, "no thanks"))
			written := newLines()
			tel := start(t, WithLogWriter(written))
			endSpan(tel, "refused")
			written.find(t, `"msg":"span export failed"`, "no thanks")
			c.serve(nil)
			endSpan(tel, "accepted")
			if err := tel.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"accepted"}, c.spanNames()); diff != "" {
				t.Errorf("spans (-want +got):\n%s", diff)
			}
			want := map[string]float64{"sent": 1, "failed": 1, "dropped": 0}
			if diff := cmp.Diff(want, spanResults(t, tel)); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}
		})
	}
}
