package telemetry

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func newLogCollector(t *testing.T) *collector {
	t.Helper()
	c := newCollector(t)
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	t.Setenv("OTEL_LOGS_EXPORTER", "otlp")
	return c
}

func TestOTLPGetsWholeRecords(t *testing.T) {
	c := newLogCollector(t)
	c.serve(nil)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=chat,service.namespace=sockscope")
	tel := start(t, WithLogWriter(io.Discard))
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{0xa}, SpanID: trace.SpanID{0xb},
	}))
	tel.Logger().With("namespace", "rooms").ErrorContext(ctx, "message failed", "err", io.ErrUnexpectedEOF, "size", 7)
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}

	records := c.records()
	if len(records) != 1 {
		t.Fatalf("%d records, want 1", len(records))
	}
	type flat struct {
		Body, Trace, Span string
		Severity          logs.SeverityNumber
		Attributes        map[string]any
	}
	r := records[0]
	got := flat{r.GetBody().GetStringValue(), string(r.GetTraceId()), string(r.GetSpanId()), r.GetSeverityNumber(), plain(r.GetAttributes())}
	want := flat{
		Body:       "message failed",
		Trace:      "\x0a" + strings.Repeat("\x00", 15),
		Span:       "\x0b" + strings.Repeat("\x00", 7),
		Severity:   logs.SeverityNumber_SEVERITY_NUMBER_ERROR,
		Attributes: map[string]any{"namespace": "rooms", "err": "unexpected EOF", "size": int64(7)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	resource := plain(c.logs[0].GetResource().GetAttributes())
	if resource["service.name"] != "chat" || resource["service.namespace"] != "sockscope" {
		t.Errorf("resource %v", resource)
	}
	if got, want := gatherLogMetrics(t, tel.Registry()), (logMetrics{sent: 1}); got != want {
		t.Errorf("metrics %+v, want %+v", got, want)
	}
}

func TestOTLPOutageNeverBlocksLogging(t *testing.T) {
	for name, begin := range map[string]func(*collector){
		"dead":    func(*collector) {},
		"hanging": func(c *collector) { c.serve(hang) },
		"unavailable": func(c *collector) {
			c.serve(func(context.Context) error { return status.Error(codes.Unavailable, "full") })
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newLogCollector(t)
			begin(c)
			tel := start(t, WithLogWriter(io.Discard))
			records := logMany(t, tel.Logger())
			during := gatherLogMetrics(t, tel.Registry())
			if during.dropped == 0 || during.dropped+during.queued != records {
				t.Errorf("during the outage: %+v: want what of %v records is not queued to be dropped", during, records)
			}
			c.serve(nil)
			eventually(t, "all that was kept is delivered", func() bool {
				return gatherLogMetrics(t, tel.Registry()) == logMetrics{sent: during.queued, dropped: during.dropped}
			})
			if got := float64(len(c.records())); got != during.queued {
				t.Errorf("the collector has %v records, want %v", got, during.queued)
			}
		})
	}
}

func TestOTLPOutageDoesNotHoldUpShutdown(t *testing.T) {
	c := newLogCollector(t)
	c.serve(hang)
	tel := start(t, WithLogWriter(io.Discard))
	records := logMany(t, tel.Logger())
	var err error
	within(t, "Shutdown", func() { err = tel.Shutdown(quick(t)) })
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "log records dropped") {
		t.Errorf("Shutdown: %v: want it to say what was dropped and why", err)
	}
	if got, want := gatherLogMetrics(t, tel.Registry()), (logMetrics{dropped: records}); got != want {
		t.Errorf("after Shutdown: %+v, want %+v", got, want)
	}
}

func TestOTLPRefusalIsFailed(t *testing.T) {
	c := newLogCollector(t)
	c.serve(func(context.Context) error { return status.Error(codes.InvalidArgument, "no thanks") })
	tel := start(t, WithLogWriter(io.Discard))
	tel.Logger().Info("not wanted")
	eventually(t, "the refusal is counted", func() bool {
		return gatherLogMetrics(t, tel.Registry()) == logMetrics{failed: 1}
	})
}
