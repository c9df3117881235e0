package desk

import (
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/internal/desk/inbox"
	"github.com/sockscope/sockscope/internal/desk/metrics"
	"github.com/sockscope/sockscope/internal/desk/status"
	"github.com/sockscope/sockscope/internal/desk/story"
	"github.com/sockscope/sockscope/internal/desk/tracing"
	"github.com/sockscope/sockscope/internal/logstore"
)

var update = flag.Bool("update", false, "write the golden files anew")

const hostile = `<script>alert("1")</script>`

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func before(d time.Duration) time.Time { return now.Add(-d) }

// goldenPages are the pages with everything that they can show. Text from outside is hostile, so that the golden files
// show that it is escaped.
func goldenPages() map[string]struct {
	template string
	page     page
} {
	components := []status.Report{
		{Component: status.Component{Name: "prometheus", Title: "Prometheus", Version: "3.13.5", Address: "http://127.0.0.1:9090", Ready: "http://prometheus:9090", See: "metrics"},
			State: status.Ready, Since: before(90 * time.Minute), Checked: now},
		{Component: status.Component{Name: "loki", Title: "Loki", Version: "3.7.8", Ready: "http://loki:3100", See: hostile},
			State: status.NotReady, Since: before(5 * time.Second), Checked: now, Detail: "answers 503: " + hostile},
		{Component: status.Component{Name: "grafana", Title: "Grafana", Ready: "http://grafana:3000", Optional: true},
			State: status.Absent, Since: before(time.Hour), Checked: now, Detail: "connection refused"},
		{Component: status.Component{Name: "jaeger", Title: "Jaeger", Ready: "http://jaeger:16686"}, State: status.Unknown},
	}
	first := []status.Report{
		components[0],
		{Component: status.Component{Name: "jaeger", Title: "Jaeger", Version: "2.13.0", Address: "http://127.0.0.1:8090/trace", Ready: "http://jaeger:16686"},
			State: status.Building, Since: before(70 * time.Second), Checked: now, Detail: "compiling, 388 of 1,667 packages"},
		{Component: status.Component{Name: "loki", Title: "Loki", Ready: "http://loki:3100"}, State: status.Waiting, Since: before(2 * time.Minute), Checked: now, Detail: "for its turn"},
		{Component: status.Component{Name: "probe", Title: "Probe", Ready: "http://probe:1"}, State: status.Starting, Since: before(time.Second), Checked: now},
	}
	trigger := inbox.Notification{
		ID: "1", Source: inbox.PagerDuty, Receiver: "key 0123", Accepted: true, Event: inbox.Trigger, Outcome: inbox.Repeated,
		Alert: "WebSocketLatencyHigh", Severity: "critical", Summary: hostile, Key: "k", Received: before(10 * time.Second),
		Firing: []inbox.Subject{{Alert: "WebSocketLatencyHigh", Of: hostile}}, Resolved: []inbox.Subject{{Alert: "Other", Of: "demo/chat"}},
		Since: before(time.Hour), Count: 3, Warnings: []string{"payload.summary contains <no value>"},
		Links: []inbox.Link{{Text: "Runbook", Href: "https://example.com/r"}, {Text: "Evil", Href: "javascript:alert(1)"}},
		Body:  `{"x": "` + hostile + `"}`,
	}
	opened := trigger
	opened.ID, opened.Outcome, opened.Received, opened.Warnings = "0", inbox.Opened, before(time.Hour), nil
	resolved := inbox.Notification{ID: "2", Source: inbox.Slack, Receiver: "T/B 00", Accepted: true, Event: inbox.Resolve, Outcome: inbox.Resolved,
		Alert: "HighConnectionDropRate", Summary: "Connections break", Received: before(26 * time.Hour), Since: before(27 * time.Hour), Count: 2}
	dropped := inbox.Notification{ID: "3", Source: inbox.PagerDuty, Accepted: true, Event: inbox.Resolve, Outcome: inbox.Dropped, Summary: "who?", Received: before(time.Hour), Since: before(time.Hour), Count: 1}
	rejected := inbox.Notification{ID: "4", Source: inbox.Webhook, Receiver: "default", Reason: "status is " + hostile, Received: before(time.Minute)}
	beat := inbox.Notification{ID: "5", Source: inbox.Webhook, Receiver: "watchdog", Accepted: true, Event: inbox.Trigger, Alert: "Watchdog", Received: before(12 * time.Second)}
	view := inbox.View{
		Started:   before(28 * time.Hour),
		DiskError: "no space left on device",
		Open: []inbox.Group{{ID: "alert-a", State: inbox.StateOpen, Subject: inbox.Subject{Alert: "WebSocketLatencyHigh", Of: hostile}, Since: before(time.Hour), Count: 3,
			Channels: []inbox.Channel{
				{Source: inbox.PagerDuty, Receiver: "key 0123", State: inbox.StateOpen, Received: before(10 * time.Second)},
				{Source: inbox.Slack, Receiver: hostile, State: inbox.StateResolved, Received: before(time.Minute)},
			},
			Latest: trigger, Events: []inbox.Notification{trigger, opened}}},
		Closed: []inbox.Group{
			{ID: "alert-b", State: inbox.StateResolved, Since: before(27 * time.Hour), Count: 2,
				Channels: []inbox.Channel{{Source: inbox.Slack, State: inbox.StateResolved, Received: before(26 * time.Hour)}}, Latest: resolved, Events: []inbox.Notification{resolved}},
			{ID: "alert-c", State: inbox.StateDropped, Since: before(time.Hour), Count: 1,
				Channels: []inbox.Channel{{Source: inbox.PagerDuty, State: inbox.StateDropped, Received: before(time.Hour)}}, Latest: dropped, Events: []inbox.Notification{dropped}},
		},
		Rejected:   []inbox.Notification{rejected},
		Heartbeats: []inbox.Heartbeat{{Group: inbox.Group{ID: "alert-w", State: inbox.StateOpen, Latest: beat}, Seen: 20, Interval: time.Minute}},
	}
	awaited := inbox.View{Heartbeats: []inbox.Heartbeat{{Group: inbox.Group{ID: "alert-w", State: inbox.StateOpen, Latest: beat}, Awaited: true}}}
	late := inbox.View{Started: before(time.Hour), Heartbeats: []inbox.Heartbeat{{Group: inbox.Group{ID: "alert-w", State: inbox.StateOpen, Latest: beat}, Late: true}}}

	const id = "724e3b184d68acf94e746096135d877c"
	start := before(time.Minute)
	root := tracing.Span{TraceID: id, ID: "b7ad6b7169203331", Name: "websocket.message chat", Kind: "consumer", Service: "demo", Start: start, End: start.Add(48 * time.Millisecond),
		Status: "error", Message: hostile, Attributes: []tracing.Attribute{{Key: "k", Value: hostile}}, Resource: []tracing.Attribute{{Key: "service.name", Value: "demo"}},
		Links:  []tracing.Link{{TraceID: "02620e98b440366a1cf7026b2d76d885", SpanID: "00f067aa0ba902b7"}, {TraceID: "12620e98b440366a1cf7026b2d76d885", SpanID: "00f067aa0ba902b7", Missing: true}},
		Events: []tracing.Event{{Time: start, Name: "exception"}}}
	child := tracing.Span{TraceID: id, ID: "00f067aa0ba902b8", Parent: root.ID, Name: hostile, Service: "store", Start: start.Add(10 * time.Millisecond), End: start.Add(22 * time.Millisecond)}
	orphan := tracing.Span{TraceID: id, ID: "00f067aa0ba902b9", Parent: "00f067aa0ba90fff", Name: "lost", Service: "demo", Start: start.Add(30 * time.Millisecond), End: start.Add(31 * time.Millisecond)}
	found := []tracing.Found{{TraceID: id, Name: hostile, Service: "demo", Start: start, Duration: time.Millisecond, Spans: 1, Failed: true}}
	whole := traceData{JaegerUI: "http://127.0.0.1:16686/trace/" + id, View: tracing.View{
		Trace:   tracing.Trace{ID: id, Spans: []tracing.Span{root, child, orphan}, More: 4},
		Records: []logstore.Record{{Time: start, Level: "error", Service: "demo", Message: hostile, SpanID: root.ID, Fields: []logstore.Field{{Key: "room", Value: "lobby"}}}},
		Linked: []tracing.Linked{
			{Trace: tracing.Trace{ID: "02620e98b440366a1cf7026b2d76d885", Spans: []tracing.Span{{ID: "00f067aa0ba902b7", Name: "websocket.handshake", Service: "demo", Start: start, End: start.Add(time.Millisecond)}}}, From: []string{root.Name}},
			{Trace: tracing.Trace{ID: "12620e98b440366a1cf7026b2d76d885"}, From: []string{"x", "y"}, Problem: "not stored"},
		},
		Linking: found, Session: found,
	}}
	second := orphan
	second.ID, second.Warning = "00f067aa0ba902ba", "Negative duration detected"
	open := traceData{View: tracing.View{Trace: tracing.Trace{ID: id, Spans: []tracing.Span{orphan, second}}}}
	unknown := traceData{View: tracing.View{Trace: tracing.Trace{ID: id}, Unknown: true, LogsProblem: "ask Loki: " + hostile}}
	dead := traceData{View: tracing.View{Trace: tracing.Trace{ID: id}, SpansProblem: "ask Jaeger: connection refused"}}

	numbers := queryData{Query: hostile, About: hostile, MaxLength: 4096, Answers: []metrics.Answer{
		{Question: metrics.Question{Title: "Open", Query: `up{job="x"}`}, Labels: []string{"job"}, Rows: []metrics.Row{{Labels: []string{hostile}, Value: "7"}}, More: 3},
		{Question: metrics.Question{Title: "None", Query: "up"}},
		{Question: metrics.Question{Title: "Wrong", Query: "("}, Problem: hostile},
	}}
	overview := newOverviewData(components, view)
	overview.Findings = goldenFindings()
	return map[string]struct {
		template string
		page     page
	}{
		"overview":       {"overview", page{Title: "Overview", Section: "overview", Refresh: 3, Script: "dashboard.js", Open: 1, Data: overview}},
		"overview-ready": {"overview", page{Title: "Overview", Section: "overview", Refresh: 3, Script: "dashboard.js", Data: newOverviewData(components[:1], late)}},
		"overview-first": {"overview", page{Title: "Overview", Section: "overview", Refresh: 3, Script: "dashboard.js", Data: newOverviewData(first, inbox.View{})}},
		"overview-empty": {"overview", page{Title: "Overview", Section: "overview", Refresh: 3, Script: "dashboard.js", Data: newOverviewData(nil, inbox.View{})}},
		"inbox":          {"inbox", page{Title: "Inbox", Section: "inbox", Refresh: 3, Open: 1, Data: inboxData{view, map[inbox.Source]int{inbox.Slack: 429}}}},
		"inbox-late":     {"inbox", page{Title: "Inbox", Section: "inbox", Refresh: 3, Data: inboxData{View: late}}},
		"inbox-await":    {"inbox", page{Title: "Inbox", Section: "inbox", Refresh: 3, Data: inboxData{View: awaited}}},
		"inbox-empty":    {"inbox", page{Title: "Inbox", Section: "inbox", Refresh: 3, Data: inboxData{View: inbox.View{Started: before(3 * time.Minute)}}}},
		"notification":   {"notification", page{Title: "Notification", Section: "inbox", Data: trigger}},
		"rejected":       {"notification", page{Title: "Notification", Section: "inbox", Data: rejected}},
		"query":          {"query", page{Title: "Query", Section: "query", Refresh: 5, Data: numbers}},
		"query-await":    {"query", page{Title: "Query", Section: "query", Refresh: 5, Data: queryData{MaxLength: 9, Awaited: "Prometheus is not there yet: building."}}},
		"traces-await":   {"traces", page{Title: "Traces", Section: "trace", Refresh: 3, Data: tracesData{Ranges: timeRanges(), Awaited: "Jaeger is not there yet: building."}}},
		"trace-await":    {"trace", page{Title: "Trace", Section: "trace", Refresh: 3, Data: traceData{View: dead.View, Awaited: "Jaeger is not there yet: building.", LogsAwaited: "Loki is not there yet: waiting."}}},
		"traces":         {"traces", page{Title: "Traces", Section: "trace", Data: goldenTraces(found)}},
		"traces-none":    {"traces", page{Title: "Traces", Section: "trace", Data: tracesData{Ranges: timeRanges(), Form: newTracesForm(nil), Aside: true}}},
		"traces-dead":    {"traces", page{Title: "Traces", Section: "trace", Data: tracesData{Ranges: timeRanges(), Problem: hostile}}},
		"trace":          {"trace", page{Title: "Trace", Section: "trace", Data: whole}},
		"trace-absent":   {"trace", page{Title: "Trace", Section: "trace", Refresh: 3, Data: unknown}},
		"trace-dead":     {"trace", page{Title: "Trace", Section: "trace", Data: dead}},
		"trace-open":     {"trace", page{Title: "Trace", Section: "trace", Data: open}},
		"problem":        {"problem", page{Title: "Problem", Data: problemData{hostile, hostile}}},

		"logs":             {"logs", page{Title: "Logs", Section: "logs", Data: goldenLogs()}},
		"logs-dead":        {"logs", page{Title: "Logs", Section: "logs", Data: logsData{Problem: hostile, Ranges: timeRanges()}}},
		"logs-await":       {"logs", page{Title: "Logs", Section: "logs", Refresh: 3, Data: logsData{Awaited: "Loki is not there yet: waiting.", Ranges: timeRanges()}}},
		"logs-around":      {"around", page{Title: "Logs", Section: "logs", Data: aroundData{At: now, Service: hostile, Records: goldenLogs().Records}}},
		"connections":      {"connections", page{Title: "Connections", Section: "connections", Refresh: 3, Data: goldenConnections()}},
		"connections-none": {"connections", page{Title: "Connections", Section: "connections", Refresh: 3, Data: connectionsData{}}},
		"connection":       {"connection", page{Title: "Connection", Section: "connections", Data: connectionData{goldenStory()}}},
		"connection-live":  {"connection", page{Title: "Connection", Section: "connections", Refresh: 5, Data: connectionData{goldenLiveStory()}}},
		"connection-none":  {"connection", page{Title: "Connection", Section: "connections", Refresh: 5, Data: connectionData{story.Story{ID: hostile, Problems: []string{hostile}}}}},
	}
}

func TestGoldenPages(t *testing.T) {
	pages, err := newPages()
	if err != nil {
		t.Fatal(err)
	}
	for name, golden := range goldenPages() {
		t.Run(name, func(t *testing.T) {
			golden.page.Now = now
			got, err := pages.render(golden.template, golden.page)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".golden.html")
			if *update {
				if err := os.WriteFile(file, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("write it anew with -update if this is meant (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPagesAreSafe looks at every page for what its policy forbids and for text from outside that became markup.
func TestPagesAreSafe(t *testing.T) {
	pages, err := newPages()
	if err != nil {
		t.Fatal(err)
	}
	for name, golden := range goldenPages() {
		golden.page.Now = now
		html, err := pages.render(golden.template, golden.page)
		if err != nil {
			t.Fatal(err)
		}
		for _, forbidden := range []string{hostile, "alert(\"1\")", `href="javascript:`, " style=", " onclick=", "<style", "ZgotmplZ", "<no value>", "&lt;nil&gt;", "//cdn", "%!"} {
			if strings.Contains(string(html), forbidden) {
				t.Errorf("page %s contains %q", name, forbidden)
			}
		}
	}
}

func TestTraceStatus(t *testing.T) {
	spans := tracing.Trace{Spans: make([]tracing.Span, 1)}
	tests := []struct {
		view tracing.View
		want int
	}{
		{tracing.View{Trace: spans}, 200},
		{tracing.View{Trace: spans, LogsProblem: "away"}, 200},
		{tracing.View{Unknown: true, Records: make([]logstore.Record, 1)}, 200},
		{tracing.View{Unknown: true}, 404},
		{tracing.View{Unknown: true, LogsProblem: "away"}, 404},
		{tracing.View{SpansProblem: "away"}, 502},
	}
	for _, test := range tests {
		if got := traceStatus(test.view); got != test.want {
			t.Errorf("traceStatus(%+v) = %d, want %d", test.view, got, test.want)
		}
	}
}

func TestDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                             "0 µs",
		1500 * time.Nanosecond:        "1.5 µs",
		900 * time.Microsecond:        "900 µs",
		2340 * time.Microsecond:       "2.34 ms",
		48 * time.Millisecond:         "48.0 ms",
		10 * time.Second:              "10.0 s",
		2 * time.Second:               "2 s",
		90 * time.Second:              "1 min 30 s",
		59 * time.Minute:              "59 min",
		25*time.Hour + 30*time.Minute: "1 d 1 h",
		2*time.Hour + 3*time.Minute:   "2 h 3 min",
	} {
		if got := duration(d); got != want {
			t.Errorf("duration(%v) = %q, want %q", d, got, want)
		}
	}
	if got := ago(now, time.Time{}); got != "never" {
		t.Errorf("ago of no time = %q", got)
	}
	if got := ago(now, now.Add(time.Second)); got != "0 s ago" {
		t.Errorf("ago of the future = %q", got)
	}
}

func TestLinksDuringAnAlert(t *testing.T) {
	links := []inbox.Link{{Text: "Runbook", Href: "https://example.com/d.md"}, {Text: "Dashboard", Href: "http://127.0.0.1:8090/d/x?var-job=a&from=now-1h"}, {Text: "Bad", Href: "%"}}
	began := now.Add(-time.Hour)
	for _, test := range []struct {
		began, ended time.Time
		want         string
	}{
		{began, time.Time{}, "http://127.0.0.1:8090/d/x?from=1795343400000&to=now&var-job=a"},
		{began, now, "http://127.0.0.1:8090/d/x?from=1795343400000&to=1795350600000&var-job=a"},
		{time.Time{}, now, links[1].Href},
	} {
		want := []inbox.Link{links[0], {Text: "Dashboard", Href: test.want}, links[2]}
		if diff := cmp.Diff(want, during(links, test.began, test.ended)); diff != "" {
			t.Errorf("from %v to %v (-want +got):\n%s", test.began, test.ended, diff)
		}
	}
}

func TestStaticFiles(t *testing.T) {
	for path, want := range map[string]string{
		"/static/desk.css": "text/css", "/static/desk.js": "text/javascript", "/static/chart.js": "text/javascript", "/static/plot.js": "text/javascript", "/static/pointer.js": "text/javascript", "/static/raster.js": "text/javascript", "/static/scale.js": "text/javascript", "/static/icon.svg": "image/svg+xml",
	} {
		w := httptest.NewRecorder()
		staticFiles().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if got := w.Header().Get("Content-Type"); w.Code != 200 || !strings.HasPrefix(got, want) {
			t.Errorf("%s is answered by %d as %s, want %s", path, w.Code, got, want)
		}
	}
}
