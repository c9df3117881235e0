package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/internal/endpoint"
	"github.com/sockscope/sockscope/internal/logstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeStack answers as the parts of a stack do. Its only rule is pending as soon as it is broken, fires after a while,
// and fires no more once it is whole. It is evaluated whenever somebody asks.
type fakeStack struct {
	mu       sync.Mutex
	broken   bool
	since    time.Time
	samples  map[string][]Sample // by alert
	notices  []map[string]any    // newest first
	disabled map[string]bool     // what does not work
	marks    []string            // requests about the drill itself
}

const loggedTrace = "0123456789abcdef0123456789abcdef"

const fakePatience = 300 * time.Millisecond

func (f *fakeStack) String() string { return "break it" }

func (f *fakeStack) Inject(context.Context, *Stack) (func(context.Context) error, error) {
	f.turn(true)
	return func(context.Context) error {
		f.turn(false)
		return nil
	}, nil
}

func (f *fakeStack) turn(broken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken, f.since = broken, time.Now()
}

// tick evaluates the rule.
func (f *fakeStack) tick() {
	now := time.Now()
	note := func(alert, severity string, firing bool) {
		f.samples[alert] = append(f.samples[alert], Sample{At: now, Alert: alert, Severity: severity, Firing: firing})
	}
	note(watchdog, "none", true)
	firing := f.broken && now.Sub(f.since) > fakePatience
	if f.broken && !f.disabled["rule"] {
		note("Slow", "warning", firing)
	}
	told := len(f.notices) > 0 && f.notices[0]["event"] == "trigger"
	if firing && !told && !f.disabled["rule"] || !f.broken && told {
		event := "trigger"
		if told {
			event = "resolve"
		}
		f.notices = append([]map[string]any{{"source": "slack", "received": now, "accepted": true, "event": event, "alert": "Slow"}}, f.notices...)
	}
}

func (f *fakeStack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tick()
	var answer any
	switch r.URL.Path {
	case "/api/v1/query":
		answer = map[string]any{"data": f.query(r.FormValue("query"))}
	case "/v1/metrics":
		body, _ := io.ReadAll(r.Body)
		f.marks = append(f.marks, string(body))
		return
	case "/api/v1/query_exemplars":
		answer = map[string]any{"data": []any{map[string]any{"exemplars": []any{
			map[string]any{"labels": map[string]string{"trace_id": "fast"}, "value": "0.1", "timestamp": 1.0},
			map[string]any{"labels": map[string]string{"trace_id": "slow"}, "value": "1.5", "timestamp": 2.0},
		}}}}
	case "/api/inbox":
		answer = map[string]any{"notifications": f.notices}
	case "/api/v2/alerts":
		answer = []any{}
	case "/api/trace/slow":
		answer = map[string]any{"traceId": "slow", "spans": []any{spanOf("websocket.message chat", 1500*time.Millisecond, "websocket.message.type", "chat")}}
	case "/api/trace/" + loggedTrace:
		answer = map[string]any{"traceId": loggedTrace, "spans": []any{spanOf("websocket.close", time.Millisecond, "websocket.close.reason", "abnormal")}}
	case "/select/logsql/query":
		for _, reason := range []string{"abnormal", "normal"} {
			_ = json.NewEncoder(w).Encode(map[string]string{
				"_time": "2026-11-30T12:00:00Z", "_msg": `{"msg":"connection closed","reason":"` + reason + `"}`, "trace_id": loggedTrace,
			})
		}
		return
	default:
		http.NotFound(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// query answers what the runner asks, and takes every other expression as one that has a result while the stack is
// broken.
func (f *fakeStack) query(expr string) map[string]any {
	result := []any{}
	if strings.HasPrefix(expr, "ALERTS[") {
		for alert, samples := range f.samples {
			for _, state := range []string{"pending", "firing"} {
				values := [][2]any{}
				severity := ""
				for _, s := range samples {
					if s.Firing == (state == "firing") {
						values = append(values, [2]any{float64(s.At.UnixMilli()) / 1000, "1"})
						severity = s.Severity
					}
				}
				result = append(result, map[string]any{
					"metric": map[string]string{"alertname": alert, "alertstate": state, "severity": severity}, "values": values,
				})
			}
		}
		return map[string]any{"resultType": "matrix", "result": result}
	}
	if f.broken && !strings.HasPrefix(expr, "ALERTS{") && expr != "never" {
		result = append(result, map[string]any{"metric": map[string]string{}, "value": [2]any{1.0, "2"}})
	}
	return map[string]any{"resultType": "vector", "result": result}
}

// run runs a drill against a fake stack whose rules are so fast that it takes seconds.
func (f *fakeStack) run(t *testing.T, d Drill) Result {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	address := strings.TrimPrefix(server.URL, "http://")
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s := &Stack{
		At:    endpoint.Set{Prometheus: address, Alertmanager: address, Desk: address, VictoriaLogs: address, CollectorOTLPHTTP: address},
		Speed: 1000, http: &http.Client{Transport: transport}, slack: 3 * fakePatience,
		logs: logstore.VictoriaLogs(server.URL, transport), logLanguage: "logsql",
		deploy: fstest.MapFS{"grafana/dashboards/one.json": {Data: []byte(`{"uid": "one", "panels": [
			{"title": "Latency", "datasource": {"type": "prometheus"}, "targets": [{"refId": "A", "expr": "latency{job=\"$job\"}"}]},
			{"title": "Empty", "datasource": {"type": "prometheus"}, "targets": [{"refId": "A", "expr": "never"}]}]}`)}},
	}
	r := &Runner{
		Stack: s, Progress: func(time.Duration, string) {}, began: time.Now(),
		Docs: fstest.MapFS{"runbooks/Slow.md": {Data: []byte("```promql\nlatency\n```\n```promql\nnever\n```\n")}},
	}
	d.Faults = []Fault{f}
	result, err := r.run(t.Context(), d, false)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// checkMarks makes sure that dashboards are told when the drill began, and in the end that its fault is healed.
func (f *fakeStack) checkMarks(t *testing.T, drill string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.marks)
	if n == 0 || !strings.Contains(f.marks[0], `"asInt": "1"`) || !strings.Contains(f.marks[n-1], `"asInt": "0"`) || !strings.Contains(f.marks[n-1], `"stringValue": "`+drill+`"`) {
		t.Errorf("dashboards are told %q", f.marks)
	}
}

func newFakeStack(disabled ...string) *fakeStack {
	f := &fakeStack{samples: map[string][]Sample{}, disabled: map[string]bool{}}
	for _, what := range disabled {
		f.disabled[what] = true
	}
	return f
}

func TestRun(t *testing.T) {
	f := newFakeStack()
	got := f.run(t, Drill{
		Name: "slow", Metric: "latency > 1", Alert: "Slow", Within: time.Second, Panel: "Latency",
		Trace: &Trace{Exemplars: "latency", Span: "websocket.message", Longer: time.Second},
		Log:   &Log{Message: "connection closed", Has: map[string]string{"reason": "abnormal"}},
	})
	if !got.OK() {
		t.Errorf("failures: %s", strings.Join(got.Failures, "\n"))
	}
	f.checkMarks(t, "slow")
	for _, link := range Links() {
		if _, ok := got.Seconds[link]; !ok {
			t.Errorf("%s was not seen", link)
		}
	}
	want := []Finding{
		{"panel", true, "Latency shows data"},
		{"log", true, "1 say connection closed reason=abnormal"},
		{"trace", true, "an exemplar leads to websocket.message chat of 1.5 s"},
		{"runbook", true, "1 of 2 queries have a result"},
	}
	if diff := cmp.Diff(want, got.Evidence); diff != "" {
		t.Errorf("evidence (-want +got):\n%s", diff)
	}
}

func TestRunFollowsALogRecord(t *testing.T) {
	got := newFakeStack().run(t, Drill{
		Name: "broken", Metric: "latency > 1", Alert: "Slow", Within: time.Second,
		Log:   &Log{Message: "connection closed"},
		Trace: &Trace{Span: "websocket.close", Has: map[string]string{"websocket.close.reason": "abnormal"}},
	})
	want := Finding{"trace", true, "a log record leads to websocket.close websocket.close.reason=abnormal"}
	if !got.OK() || len(got.Evidence) != 3 || got.Evidence[1] != want {
		t.Errorf("evidence %v, failures %v", got.Evidence, got.Failures)
	}
}

func TestControl(t *testing.T) {
	if got := newFakeStack("rule").run(t, Drill{Name: "quiet", Lasts: time.Second}); !got.OK() {
		t.Errorf("failures of a quiet control: %v", got.Failures)
	}
	got := newFakeStack().run(t, Drill{Name: "noisy", Lasts: time.Second})
	if len(got.Failures) != 1 || !strings.HasPrefix(got.Failures[0], "false alarm: Slow fired after") {
		t.Errorf("failures of a noisy control: %v", got.Failures)
	}
}

// TestRunHeals has a drill be interrupted.
func TestRunHeals(t *testing.T) {
	f := newFakeStack("rule")
	server := httptest.NewServer(f)
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := &Runner{
		Stack: &Stack{
			At:    endpoint.Set{Prometheus: address, Alertmanager: address, Desk: address, CollectorOTLPHTTP: address},
			Speed: 1000, http: &http.Client{Transport: transport},
		},
		Progress: func(_ time.Duration, what string) {
			if what == "fault injected" {
				cancel()
			}
		},
		began: time.Now(),
	}
	_, err := r.run(ctx, Drill{Name: "slow", Alert: "Slow", Metric: "latency > 1", Within: time.Second, Faults: []Fault{f}}, true)
	f.checkMarks(t, "slow")
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken || err == nil {
		t.Errorf("interrupted, the fault is still there: %v (%v)", f.broken, err)
	}
}

// TestNoWayToTheCause breaks what leads to it.
func TestNoWayToTheCause(t *testing.T) {
	for _, test := range []struct {
		drill Drill
		what  string
		want  string
	}{
		{Drill{Panel: "Empty"}, "panel", "no data for Empty (A): never"},
		{Drill{Panel: "None"}, "panel", `no dashboard has a panel "None"`},
		{Drill{Log: &Log{Message: "connection opened"}}, "log", "none of 2 records says connection opened"},
		{Drill{Trace: &Trace{Span: "websocket.close"}}, "trace", "no log record names a trace"},
		{Drill{Trace: &Trace{Exemplars: "latency", Span: "store"}}, "trace", "no span store in the traces that an exemplar leads to"},
	} {
		t.Run(fmt.Sprintf("%s %s", test.what, test.want), func(t *testing.T) {
			t.Parallel()
			d := test.drill
			d.Name, d.Metric, d.Alert, d.Within = "slow", "latency > 1", "Slow", time.Second
			got := newFakeStack().run(t, d)
			if len(got.Evidence) == 0 || got.Evidence[0].OK || !strings.Contains(got.Evidence[0].Detail, test.want) {
				t.Errorf("evidence %v, want that %s", got.Evidence, test.want)
			}
		})
	}
}
