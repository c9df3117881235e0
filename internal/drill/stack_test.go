package drill

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNotices(t *testing.T) {
	var box inboxAnswer
	err := json.Unmarshal([]byte(`{"notifications": [
		{"source": "pagerduty", "received": "2026-11-30T12:01:05Z", "accepted": true, "event": "resolve", "alert": "Slow", "key": "chat"},
		{"source": "pagerduty", "received": "2026-11-30T12:01:00Z", "accepted": true, "event": "trigger", "alert": "Slow", "key": "chat",
			"firing": [{"alert": "Late", "of": "chat"}, {"alert": "Late", "of": "feed"}], "resolved": [{"alert": "Slow", "of": "chat"}]},
		{"source": "webhook", "received": "2026-11-30T12:00:40Z", "accepted": true, "event": "trigger", "alert": "Watchdog"},
		{"source": "slack", "received": "2026-11-30T12:00:30Z", "accepted": false, "reason": "invalid_payload", "alert": "Slow"},
		{"source": "slack", "received": "2026-11-30T12:00:21.5Z", "accepted": true, "event": "trigger", "alert": "Slow"},
		{"source": "slack", "received": "2026-11-30T11:59:00Z", "accepted": true, "event": "trigger", "alert": "Slow"}
	]}`), &box)
	if err != nil {
		t.Fatal(err)
	}
	want := []Notice{
		{At: after(21.5), Alert: "Slow", Channel: "slack"},
		{At: after(30), Alert: "Slow", Channel: "slack", Rejected: "invalid_payload"},
		{At: after(60), Alert: "Late", Channel: "pagerduty", Incident: "chat"},
		{At: after(60), Alert: "Slow", Channel: "pagerduty", Incident: "chat", Resolved: true},
		{At: after(65), Alert: "Slow", Channel: "pagerduty", Incident: "chat", Resolved: true},
	}
	if diff := cmp.Diff(want, box.notices(noon)); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
}

func TestSpeed(t *testing.T) {
	shipped := "global:\n  evaluation_interval: 15s\n"
	for _, test := range []struct {
		running string
		want    int
		wrong   bool
	}{
		{shipped, 1, false},
		{"global:\n  evaluation_interval: 750ms\n", 20, false},
		{"global:\n  evaluation_interval: 1m\n", 0, true},
		{"global: {}\n", 0, true},
		{"<html>", 0, true},
	} {
		got, err := speed([]byte(shipped), []byte(test.running))
		if got != test.want || (err != nil) != test.wrong {
			t.Errorf("speed of %q is %d (%v), want %d", test.running, got, err, test.want)
		}
	}
}

func TestRunbookQueries(t *testing.T) {
	markdown, err := os.ReadFile(filepath.Join("testdata", "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	for language, log := range map[string]string{"logql": `{service_name="x"}`, "logsql": `{service.name="x"} "y"`} {
		want := []runbookQuery{{"promql", "sum(a)\n/ sum(b)"}, {language, log}, {"promql", "up == 0"}}
		if diff := cmp.Diff(want, runbookQueries(string(markdown), language), cmp.AllowUnexported(runbookQuery{})); diff != "" {
			t.Errorf("queries in %s (-want +got):\n%s", language, diff)
		}
	}
}

func TestTraceMatches(t *testing.T) {
	span := spanOf("websocket.message chat", 1500*time.Millisecond, "websocket.message.type", "chat")
	for _, test := range []struct {
		want  Trace
		match bool
	}{
		{Trace{Span: "websocket.message"}, true},
		{Trace{Span: "websocket.close"}, false},
		{Trace{Span: "websocket.message", Longer: time.Second}, true},
		{Trace{Span: "websocket.message", Longer: 2 * time.Second}, false},
		{Trace{Span: "websocket.message", Has: map[string]string{"websocket.message.type": ""}}, true},
		{Trace{Span: "websocket.message", Has: map[string]string{"websocket.message.type": "ping"}}, false},
		{Trace{Span: "websocket.message", Has: map[string]string{"error.type": ""}}, false},
	} {
		if got := test.want.matches(span); got != test.match {
			t.Errorf("%+v matches: %v, want %v", test.want, got, test.match)
		}
	}
}
