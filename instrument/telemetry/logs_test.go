package telemetry

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/trace"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/grpc/codes"
)

// shortly is a deadline for what can't be delivered anyway.
const shortly = 300 * time.Millisecond

// quick is a context that ends soon.
func quick(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), shortly)
	t.Cleanup(cancel)
	return ctx
}

func newLogCollector(t *testing.T, protocol string) *collector {
	t.Helper()
	c := newCollector(t, protocol)
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	t.Setenv("OTEL_LOGS_EXPORTER", "otlp")
	return c
}

// logMany logs more than a queue holds, and fails the test if that has to wait for anything.
func logMany(t *testing.T, logger *slog.Logger) (records float64) {
	t.Helper()
	const n = 2 * maxQueueRecords
	within(t, "logging", func() {
		for i := range n {
			logger.Info("tick", "n", i)
		}
	})
	return n
}

func TestLogsAreWholeRecords(t *testing.T) {
	for _, protocol := range protocols() {
		t.Run(protocol, func(t *testing.T) {
			c := newLogCollector(t, protocol)
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
		})
	}
}

func TestLogsKeepIDsThatAreNoSpanOfTheContext(t *testing.T) {
	c := newLogCollector(t, protocolGRPC)
	c.serve(nil)
	tel := start(t, WithLogWriter(io.Discard))
	tel.Logger().Info("message failed", "trace_id", "0a")
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"trace_id": "0a"}, plain(c.records()[0].GetAttributes())); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
}

func TestLogOutageNeverBlocksLogging(t *testing.T) {
	for _, protocol := range protocols() {
		for name, begin := range outages() {
			t.Run(protocol+"/"+name, func(t *testing.T) {
				c := newLogCollector(t, protocol)
				t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2000") // so that one that hangs is left soon
				begin(c)
				tel := start(t, WithLogWriter(io.Discard))
				records := logMany(t, tel.Logger())
				during := gatherLogMetrics(t, tel.Registry())
				if during.sent != 0 || during.failed != 0 {
					t.Errorf("during the outage: %+v: want nothing sent or failed", during)
				}
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
				tel.Logger().Info("it goes on")
				eventually(t, "a record after the outage", func() bool {
					records := c.records()
					return records[len(records)-1].GetBody().GetStringValue() == "it goes on"
				})
			})
		}
	}
}

func TestLogOutageDoesNotHoldUpShutdown(t *testing.T) {
	for _, protocol := range protocols() {
		for name, begin := range outages() {
			t.Run(protocol+"/"+name, func(t *testing.T) {
				c := newLogCollector(t, protocol)
				begin(c)
				tel := start(t, WithLogWriter(io.Discard))
				records := logMany(t, tel.Logger())
				var err error
				within(t, "Shutdown", func() { err = tel.Shutdown(quick(t)) })
				if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "log records dropped") || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_ENDPOINT") {
					t.Errorf("Shutdown: %v: want it to say what was dropped, why, and what to look at", err)
				}
				if again := tel.Shutdown(t.Context()); !errors.Is(again, err) && again.Error() != err.Error() {
					t.Errorf("second Shutdown: %v, want the first one's result", again)
				}
				if got, want := gatherLogMetrics(t, tel.Registry()), (logMetrics{dropped: records}); got != want {
					t.Errorf("after Shutdown: %+v, want %+v", got, want)
				}
				within(t, "logging after Shutdown", func() { tel.Logger().Info("late") })
				if got, want := gatherLogMetrics(t, tel.Registry()), (logMetrics{dropped: records + 1}); got != want {
					t.Errorf("after a late record: %+v, want %+v", got, want)
				}
			})
		}
	}
}

func TestLogRefusalIsFailed(t *testing.T) {
	for _, protocol := range protocols() {
		t.Run(protocol, func(t *testing.T) {
			c := newLogCollector(t, protocol)
			c.serve(refuse(codes.InvalidArgument, "no thanks"))
			written := newLines()
			tel := start(t, WithLogWriter(written))
			tel.Logger().Info("not wanted")
			eventually(t, "the refusal is counted", func() bool {
				return gatherLogMetrics(t, tel.Registry()) == logMetrics{failed: 1}
			})
			written.find(t, `"msg":"log export failed"`, "no thanks")

			c.serve(nil)
			tel.Logger().Info("wanted")
			eventually(t, "the next export is not held up", func() bool {
				return gatherLogMetrics(t, tel.Registry()) == logMetrics{failed: 1, sent: 1}
			})
		})
	}
}

func TestSizeOfLogExportsIsBounded(t *testing.T) {
	c := newLogCollector(t, protocolHTTP)
	c.serve(nil)
	tel := start(t, WithLogWriter(io.Discard))
	const records = 1000
	for i := range records {
		tel.Logger().Info("long", "n", i, "text", strings.Repeat("x", maxValueBytes))
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(c.records()); got != records {
		t.Errorf("%d records arrived, want %d", got, records)
	}
	for _, size := range c.sizes {
		if size > 2*maxBatchBytes {
			t.Errorf("an export of %d bytes", size)
		}
	}
	if len(c.sizes) < 2 {
		t.Errorf("%d exports, want several", len(c.sizes))
	}
}

// given is an exporter for WithLogExporter.
type given struct {
	answers chan error // nil: accepts
	records chan string
	ended   chan struct{}
}

func newGiven() *given {
	return &given{answers: make(chan error, 10), records: make(chan string, 10), ended: make(chan struct{})}
}

func (g *given) Export(ctx context.Context, records []sdklog.Record) error {
	select {
	case err := <-g.answers:
		return err
	default:
	}
	for _, r := range records {
		g.records <- r.Body().AsString()
	}
	return nil
}

func (g *given) ForceFlush(context.Context) error { return nil }

func (g *given) Shutdown(context.Context) error {
	close(g.ended)
	return nil
}

func TestWithLogExporter(t *testing.T) {
	tests := []struct {
		name    string
		env     map[string]string
		answers []error
		want    logMetrics
		records int
	}{
		{name: "accepts", want: logMetrics{sent: 1}, records: 1},
		{name: "fails first", answers: []error{errAway}, want: logMetrics{sent: 1}, records: 1},
		{name: "refuses", answers: []error{refused{errAway}}, want: logMetrics{failed: 1}},
		{name: "switched off", env: map[string]string{"OTEL_LOGS_EXPORTER": "none"}},
		{name: "SDK switched off", env: map[string]string{"OTEL_SDK_DISABLED": "true"}},
		{name: "a value of old", env: map[string]string{"OTEL_LOGS_EXPORTER": "loki"}, want: logMetrics{sent: 1}, records: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("OTEL_TRACES_EXPORTER", "none")
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			g := newGiven()
			for _, err := range tt.answers {
				g.answers <- err
			}
			tel := start(t, WithLogWriter(io.Discard), WithLogExporter(g))
			tel.Logger().Info("hello")
			if err := tel.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := gatherLogMetrics(t, tel.Registry()); got != tt.want {
				t.Errorf("metrics %+v, want %+v", got, tt.want)
			}
			if len(g.records) != tt.records {
				t.Errorf("%d records exported, want %d", len(g.records), tt.records)
			}
			select {
			case <-g.ended:
			default:
				t.Error("the exporter was not shut down")
			}
		})
	}
}

func TestOTLPLogsWinOverWithLogExporter(t *testing.T) {
	c := newLogCollector(t, protocolGRPC)
	c.serve(nil)
	g := newGiven()
	tel := start(t, WithLogWriter(io.Discard), WithLogExporter(g))
	tel.Logger().Info("hello")
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(c.records()) != 1 || len(g.records) != 0 {
		t.Errorf("%d records to the collector, %d to the exporter: want OTEL_LOGS_EXPORTER to decide", len(c.records()), len(g.records))
	}
}
