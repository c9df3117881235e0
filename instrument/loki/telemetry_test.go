package loki

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	lokipush "github.com/grafana/loki/pkg/push"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/instrument/telemetry"
)

// start has telemetry export log records to the server, and nothing else.
func start(t *testing.T, s *server, opts ...telemetry.Option) *telemetry.Telemetry {
	t.Helper()
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	e, err := New(s.url())
	if err != nil {
		t.Fatal(err)
	}
	tel, err := telemetry.Start(t.Context(), append(opts, telemetry.WithLogExporter(e))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		_ = tel.Shutdown(ctx) // tests that expect something of it call it themselves, and first
	})
	return tel
}

// within fails the test unless f returns before the limit.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatalf("%s: not done after %s", what, limit)
	}
}

// eventually retries until ok, and fails the test if that takes longer than the limit.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not so after %s", what, limit)
		}
	}
}

// outcomes are the metrics of log export.
type outcomes struct{ sent, dropped, failed, queued float64 }

func gather(t *testing.T, g prometheus.Gatherer) (o outcomes) {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		switch family.GetName() {
		case "sockscope_log_records_total":
			for _, m := range family.GetMetric() {
				*map[string]*float64{"sent": &o.sent, "dropped": &o.dropped, "failed": &o.failed}[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		case "sockscope_log_queue_records":
			o.queued = family.GetMetric()[0].GetGauge().GetValue()
		}
		if strings.HasPrefix(family.GetName(), "promtail_") {
			t.Errorf("%s is loki-client-go's", family.GetName())
		}
	}
	return o
}

// messages returns the messages of the records that were accepted.
func messages(t *testing.T, s *server) (messages []string) {
	t.Helper()
	for _, line := range s.lines() {
		var record struct{ Msg string }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		messages = append(messages, record.Msg)
	}
	return messages
}

// outages are the ways in which a Loki endpoint can be of no use.
func outages() map[string]func(*server) {
	return map[string]func(*server){
		"dead":    func(*server) {},
		"hanging": func(s *server) { s.serve(s.hang) },
		"503":     func(s *server) { s.serve(answer(http.StatusServiceUnavailable)) },
	}
}

// logMany logs more than a queue holds, and fails the test if that has to wait for anything.
func logMany(t *testing.T, logger *slog.Logger) (records float64) {
	t.Helper()
	const n = 20_000
	within(t, "logging", func() {
		for i := range n {
			logger.Info("tick", "n", i)
		}
	})
	return n
}

func TestOutageNeverBlocksLogging(t *testing.T) {
	for name, begin := range outages() {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			begin(s)
			tel := start(t, s, telemetry.WithLogWriter(io.Discard))
			records := logMany(t, tel.Logger())

			during := gather(t, tel.Registry())
			if during.sent != 0 || during.failed != 0 {
				t.Errorf("during the outage: %+v: want nothing sent or failed", during)
			}
			if during.dropped == 0 || during.dropped+during.queued != records {
				t.Errorf("during the outage: %+v: want what of %v records is not queued to be dropped", during, records)
			}

			s.serve(s.accept)
			eventually(t, "all that was kept is delivered", func() bool { return gather(t, tel.Registry()).queued == 0 })
			after := gather(t, tel.Registry())
			if want := (outcomes{sent: during.queued, dropped: during.dropped}); after != want {
				t.Errorf("after the outage: %+v, want %+v", after, want)
			}
			if got := float64(len(s.lines())); got != after.sent {
				t.Errorf("the server has %v records, want the %v that were sent", got, after.sent)
			}

			tel.Logger().Info("it goes on")
			eventually(t, "a record after the outage", func() bool {
				lines := s.lines()
				return strings.Contains(lines[len(lines)-1], "it goes on")
			})
		})
	}
}

func TestOutageDoesNotHoldUpShutdown(t *testing.T) {
	for name, begin := range outages() {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			begin(s)
			tel := start(t, s, telemetry.WithLogWriter(io.Discard))
			records := logMany(t, tel.Logger())

			ctx, cancel := context.WithTimeout(t.Context(), shortly)
			defer cancel()
			var err error
			within(t, "Shutdown", func() { err = tel.Shutdown(ctx) })
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "log records dropped") {
				t.Errorf("Shutdown: %v: want it to say what was dropped and why", err)
			}
			if got, want := gather(t, tel.Registry()), (outcomes{dropped: records}); got != want {
				t.Errorf("after Shutdown: %+v, want %+v", got, want)
			}
		})
	}
}

func TestRefusalIsFailed(t *testing.T) {
	s := newServer(t)
	s.serve(answer(http.StatusBadRequest))
	tel := start(t, s, telemetry.WithLogWriter(io.Discard))
	tel.Logger().Info("not wanted")
	eventually(t, "the refusal is counted", func() bool { return gather(t, tel.Registry()) == outcomes{failed: 1} })

	s.serve(s.accept)
	tel.Logger().Info("wanted")
	eventually(t, "the next push is not held up", func() bool { return gather(t, tel.Registry()) == outcomes{failed: 1, sent: 1} })
}

func TestLokiGetsWhatIsWritten(t *testing.T) {
	s := newServer(t)
	s.serve(s.accept)
	t.Setenv("OTEL_SERVICE_NAME", "chat")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=sockscope,deployment.environment.name=test,service.instance.id=chat-1")
	var written strings.Builder
	tel := start(t, s, telemetry.WithLogWriter(&written))

	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{0xa}, SpanID: trace.SpanID{0xb},
	}))
	before := time.Now()
	tel.Logger().With("namespace", "rooms", "connection_id", "c1").WithGroup("close").WarnContext(ctx, "connection closed",
		"code", 1006, "err", io.ErrUnexpectedEOF, "after", 90*time.Second, "<html>", uint64(1), slog.Group("bytes", "in", 1.5))
	if err := tel.Shutdown(t.Context()); err != nil { // which delivers it
		t.Fatal(err)
	}

	want := []lokipush.Stream{{
		Labels: `{deployment_environment_name="test", level="warn", service_name="chat", service_namespace="sockscope"}`,
		Entries: []lokipush.Entry{{
			Line: strings.TrimSpace(written.String()),
			StructuredMetadata: lokipush.LabelsAdapter{
				{Name: "service_instance_id", Value: "chat-1"},
				{Name: "trace_id", Value: "0a000000000000000000000000000000"},
				{Name: "span_id", Value: "0b00000000000000"},
				{Name: "connection_id", Value: "c1"},
				{Name: "namespace", Value: "rooms"},
				{Name: "close_code", Value: "1006"},
				{Name: "close_err", Value: "unexpected EOF"},
				{Name: "close_after", Value: "1m30s"},
				{Name: "close__html_", Value: "1"},
				{Name: "close_bytes_in", Value: "1.5"},
			},
		}},
	}}
	got := s.streams()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(lokipush.Entry{}, "Timestamp")); diff != "" {
		t.Fatalf("pushed (-want +got):\n%s", diff)
	}
	if at := got[0].Entries[0].Timestamp; at.Before(before.Add(-time.Millisecond)) || at.After(time.Now()) {
		t.Errorf("timestamp %v, want the time of logging", at)
	}
	head := `,"level":"warn","msg":"connection closed","service":"chat","trace_id":"0a000000000000000000000000000000","span_id":"0b00000000000000","connection_id":"c1","namespace":"rooms",`
	if !strings.Contains(got[0].Entries[0].Line, head) {
		t.Errorf("line %s does not begin in the order of the contract", got[0].Entries[0].Line)
	}
}

func TestPasswordStaysSecret(t *testing.T) {
	s := newServer(t)
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	e, err := New(strings.Replace(s.url(), "http://", "http://tenant:hunter2@", 1))
	if err != nil {
		t.Fatal(err)
	}
	written := &strings.Builder{}
	tel, err := telemetry.Start(t.Context(), telemetry.WithLogWriter(written), telemetry.WithLogExporter(e))
	if err != nil {
		t.Fatal(err)
	}
	tel.Logger().Info("hello")
	ctx, cancel := context.WithTimeout(t.Context(), shortly)
	defer cancel()
	err = tel.Shutdown(ctx)
	if text := written.String() + fmt.Sprint(err); !strings.Contains(text, "log export failed") || strings.Contains(text, "hunter2") {
		t.Errorf("want the failure without the password: %s", text)
	}
}
