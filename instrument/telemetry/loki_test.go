package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/grafana/loki/pkg/push"
	"go.opentelemetry.io/otel/trace"
)

// shortly is a deadline for what can't be delivered anyway.
const shortly = 300 * time.Millisecond

// outages are the ways in which a Loki endpoint can be of no use.
func outages() map[string]func(*lokiServer) {
	return map[string]func(*lokiServer){
		"dead":    func(*lokiServer) {},
		"hanging": func(s *lokiServer) { s.serve(s.hang) },
		"503":     func(s *lokiServer) { s.serve(answer(http.StatusServiceUnavailable)) },
	}
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

func TestLokiOutageNeverBlocksLogging(t *testing.T) {
	for name, begin := range outages() {
		t.Run(name, func(t *testing.T) {
			server := newLokiServer(t)
			begin(server)
			tel := start(t, WithLogWriter(io.Discard))
			records := logMany(t, tel.Logger())

			during := gatherLogMetrics(t, tel.Registry())
			if during.sent != 0 || during.failed != 0 {
				t.Errorf("during the outage: %+v: want nothing sent or failed", during)
			}
			if during.dropped == 0 || during.dropped+during.queued != records {
				t.Errorf("during the outage: %+v: want what of %v records is not queued to be dropped", during, records)
			}

			server.serve(server.accept)
			eventually(t, "all that was kept is delivered", func() bool {
				return gatherLogMetrics(t, tel.Registry()).queued == 0
			})
			after := gatherLogMetrics(t, tel.Registry())
			if want := (logMetrics{sent: during.queued, dropped: during.dropped}); after != want {
				t.Errorf("after the outage: %+v, want %+v", after, want)
			}
			if got := float64(len(server.lines())); got != after.sent {
				t.Errorf("the server has %v records, want the %v that were sent", got, after.sent)
			}

			tel.Logger().Info("it goes on")
			eventually(t, "a record after the outage", func() bool {
				lines := server.lines()
				return strings.Contains(lines[len(lines)-1], "it goes on")
			})
		})
	}
}

func TestLokiOutageDoesNotHoldUpShutdown(t *testing.T) {
	for name, begin := range outages() {
		t.Run(name, func(t *testing.T) {
			server := newLokiServer(t)
			begin(server)
			tel := start(t, WithLogWriter(io.Discard))
			records := logMany(t, tel.Logger())

			var err error
			within(t, "Shutdown", func() { err = tel.Shutdown(quick(t)) })
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "log records dropped") || !strings.Contains(err.Error(), "SOCKSCOPE_LOKI_URL") {
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

func TestLokiGetsWholeRecords(t *testing.T) {
	server := newLokiServer(t)
	server.serve(server.accept)
	t.Setenv("OTEL_SERVICE_NAME", "chat")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=sockscope,deployment.environment.name=test,service.instance.id=chat-1")
	var written strings.Builder
	tel := start(t, WithLogWriter(&written), WithServiceName("overruled"))

	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{0xa}, SpanID: trace.SpanID{0xb},
	}))
	before := time.Now()
	tel.Logger().With("namespace", "rooms").WithGroup("close").WarnContext(ctx, "connection closed",
		"code", 1006, "err", io.ErrUnexpectedEOF, "after", 90*time.Second, slog.Group("bytes", "in", 1.5))
	if err := tel.Shutdown(t.Context()); err != nil { // which delivers it
		t.Fatal(err)
	}

	fields := map[string]any{
		"level": "warn", "msg": "connection closed", "service": "chat",
		"trace_id": "0a000000000000000000000000000000", "span_id": "0b00000000000000", "namespace": "rooms",
		"close.code": 1006.0, "close.err": "unexpected EOF", "close.after": "1m30s", "close.bytes.in": 1.5,
	}
	want := []push.Stream{{
		Labels: `{deployment_environment_name="test", level="warn", service_name="chat", service_namespace="sockscope"}`,
		Entries: []push.Entry{{
			Line: strings.TrimSpace(written.String()),
			StructuredMetadata: push.LabelsAdapter{
				{Name: "service_instance_id", Value: "chat-1"},
				{Name: "trace_id", Value: "0a000000000000000000000000000000"},
				{Name: "span_id", Value: "0b00000000000000"},
				{Name: "namespace", Value: "rooms"},
				{Name: "close_code", Value: "1006"},
				{Name: "close_err", Value: "unexpected EOF"},
				{Name: "close_after", Value: "1m30s"},
				{Name: "close_bytes_in", Value: "1.5"},
			},
		}},
	}}
	got := server.streams()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(push.Entry{}, "Timestamp")); diff != "" {
		t.Fatalf("pushed (-want +got):\n%s", diff)
	}
	if at := got[0].Entries[0].Timestamp; at.Before(before.Add(-time.Millisecond)) || at.After(time.Now()) {
		t.Errorf("timestamp %v, want the time of logging", at)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(got[0].Entries[0].Line), &line); err != nil {
		t.Fatal(err)
	}
	delete(line, "time")
	if diff := cmp.Diff(fields, line); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
	if head := `,"level":"warn","msg":"connection closed","service":"chat","trace_id":`; !strings.Contains(got[0].Entries[0].Line, head) {
		t.Errorf("line %s does not begin in the order of the contract", got[0].Entries[0].Line)
	}
	if agent := server.headers.Get("User-Agent"); agent != "sockscope-telemetry" {
		t.Errorf("User-Agent %q", agent)
	}
}

func TestLokiRefusalIsFailed(t *testing.T) {
	server := newLokiServer(t)
	server.serve(answer(http.StatusBadRequest))
	written := newLines()
	tel := start(t, WithLogWriter(written))
	tel.Logger().Info("not wanted")
	eventually(t, "the refusal is counted", func() bool {
		return gatherLogMetrics(t, tel.Registry()) == logMetrics{failed: 1}
	})
	written.find(t, `"msg":"log export failed"`, "400 Bad Request", server.address)

	server.serve(server.accept)
	tel.Logger().Info("wanted")
	eventually(t, "the next push is not held up", func() bool {
		return gatherLogMetrics(t, tel.Registry()) == logMetrics{failed: 1, sent: 1}
	})
}

func TestPushTransportTellsWhatIsWorthRepeating(t *testing.T) {
	for status, want := range map[int]struct{ failed, refused bool }{
		http.StatusOK:                    {},
		http.StatusNoContent:             {},
		http.StatusMovedPermanently:      {failed: true, refused: true},
		http.StatusBadRequest:            {failed: true, refused: true},
		http.StatusUnauthorized:          {failed: true, refused: true},
		http.StatusRequestEntityTooLarge: {failed: true, refused: true},
		http.StatusTooManyRequests:       {failed: true},
		http.StatusInternalServerError:   {failed: true},
		http.StatusServiceUnavailable:    {failed: true},
	} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(answer(status))
			defer server.Close()
			transport := &pushTransport{base: &http.Transport{}}
			defer transport.base.CloseIdleConnections()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			err = transport.attempt(t.Context(), req, []byte("push"))
			if failed, refused := err != nil, errors.Is(err, errRefused); failed != want.failed || refused != want.refused {
				t.Errorf("attempt: %v: failed %t, refused %t, want %+v", err, failed, refused, want)
			}
		})
	}
}

func TestPushTransportLeavesServerThatHangs(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc((&lokiServer{}).hang))
	defer server.Close()
	transport := &pushTransport{base: &http.Transport{}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	within(t, "an attempt", func() { err = transport.attempt(t.Context(), req, []byte("push")) })
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errRefused) {
		t.Errorf("attempt: %v: want it to be repeated", err)
	}
}

func TestLokiSizeOfPushesIsBounded(t *testing.T) {
	server := newLokiServer(t)
	server.serve(server.accept)
	tel := start(t, WithLogWriter(io.Discard))
	const records = 1000
	for i := range records {
		tel.Logger().Info("long", "n", i, "text", strings.Repeat("x", maxValueBytes))
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(server.lines()); got != records {
		t.Errorf("%d records arrived, want %d", got, records)
	}
	for _, p := range server.pushes {
		if size := p.Size(); size > 3*maxBatchBytes {
			t.Errorf("a push of %d bytes", size)
		}
	}
	if len(server.pushes) < 2 {
		t.Errorf("%d pushes, want several", len(server.pushes))
	}
}

func TestLokiPasswordStaysSecret(t *testing.T) {
	server := newLokiServer(t)
	server.serve(answer(http.StatusServiceUnavailable))
	u, err := url.Parse(os.Getenv("SOCKSCOPE_LOKI_URL"))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("tenant", "hunter2")
	t.Setenv("SOCKSCOPE_LOKI_URL", u.String())
	written := newLines()
	tel := start(t, WithLogWriter(written))
	tel.Logger().Info("hello")
	line := written.find(t, `"msg":"log export failed"`)
	if err := tel.Shutdown(quick(t)); strings.Contains(line+fmt.Sprint(err), "hunter2") {
		t.Errorf("the password is told: %s, %v", line, err)
	}
}
