package check

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// begin brings a run to the point where all steps may be tried.
func begin(t *testing.T, s *stack) *run {
	r := newRun(s.config)
	t.Cleanup(r.http.CloseIdleConnections)
	t.Cleanup(r.conversation.end)
	r.patience = time.Second
	r.measure(t.Context())
	if _, err := r.tryAnswer(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.answered.settle(true)
	if _, err := eventually(t.Context(), time.Millisecond, r.trySample); err != nil {
		t.Fatal(err)
	}
	r.sampled.settle(true)
	return r
}

func TestSteps(t *testing.T) {
	for _, c := range []struct {
		name  string
		step  string
		fault func(*stack)
		want  string // in the error; empty if the step is to hold
	}{
		{"metrics", "metrics", nil, ""},
		{"metrics of a demo that has served others", "metrics", func(s *stack) { s.counted = 686 }, ""},
		{"counter stands still", "metrics", func(s *stack) { s.counted, s.frozen = 686, true }, "websocket_messages_total{job=\"sockscope-demo\",direction=\"receive\",type=\"message\"} has not moved: scrapes since the demo answered show no change"},
		{"no scrape since", "metrics", edited("prometheus-active.json", `1795315115.080,"688"`, `1795315.081,"688"`), "websocket_active_connections is 0 although our connection is open: the newest scrape is from"},
		{"no series", "metrics", swapped("prometheus-matrix.json", "prometheus-empty.json"), "has not moved: Prometheus has not seen it"},
		{"sample in parts", "metrics", edited("prometheus-matrix.json", `,"688"]`, `]`), "something else than the JSON"},
		{"sample not a number", "metrics", edited("prometheus-matrix.json", `"684"`, `"many"`), "something else than the JSON"},
		{"Prometheus hangs", "metrics", broken("prometheus", hangs), "the counters before the first message are not known: Prometheus does not answer: nothing came back within"},
		{"Prometheus fails", "metrics", broken("prometheus", failsInside), "Prometheus answers with status 500"},
		{"Prometheus is another", "metrics", broken("prometheus", saysNonsense), "Prometheus answers something else than the JSON of its API"},

		{"quantiles", "quantiles", nil, ""},
		{"no native histogram", "quantiles", swapped("prometheus-vector.json", "prometheus-empty.json"), "no native histogram"},
		{"no classic histogram", "quantiles", swapped("prometheus-vector-classic.json", "prometheus-empty.json"), "no classic histogram"},
		{"empty histogram", "quantiles", edited("prometheus-vector.json", "0.002999109681875162", "NaN"), "is NaN"},

		{"exemplar", "exemplar", nil, ""},
		{"exemplars of others that lost their traces", "exemplar", edited("prometheus-exemplars.json", `"trace_id":"`+recordedTrace+`"},"value":"0.003","timestamp":1795315113.971`, `"trace_id":"5bf92f3577b34da6a3ce929d0e0e4736"},"value":"0.003","timestamp":1795315999.971`), ""},
		{"no exemplar", "exemplar", swapped("prometheus-exemplars.json", "prometheus-no-exemplars.json"), "no exemplar of the message duration since"},
		{"exemplar without trace", "exemplar", edited("prometheus-exemplars.json", recordedTrace, "5bf92f3577b34da6a3ce929d0e0e4736"), "an exemplar's trace: not in Jaeger: no trace 5bf9"},
		{"exemplar without ids", "exemplar", edited("prometheus-exemplars.json", "trace_id", "tid"), "an exemplar's trace: "},
		{"exemplar with another span", "exemplar", edited("prometheus-exemplars.json", recordedSpan, "ffffffffffffffff"), "has no span ffffffffffffffff"},
		{"exemplar while Jaeger hangs", "exemplar", broken("jaeger", hangs), "an exemplar's trace: Jaeger does not answer"},
		{"exemplars not as JSON", "exemplar", edited("prometheus-exemplars.json", "[", "("), "something else than the JSON"},

		{"trace", "trace", nil, ""},
		{"no trace", "trace", swapped("jaeger-message.json", "jaeger-404.json"), "has no span"},
		{"no handshake link", "trace", edited("jaeger-message.json", recordedHandshakeSpan, "5555555555555555"), "has no link to a websocket.handshake"},
		{"no links", "trace", edited("jaeger-message.json", `"links"`, `"left"`), "has no link to a websocket.handshake"},
		{"handshake of another", "trace", edited("jaeger-handshake.json", "s-1", "s-2"), "has no link to a websocket.handshake"},
		{"handshake of another kind", "trace", edited("jaeger-handshake.json", `"kind":2`, `"kind":1`), "has no link to a websocket.handshake"},
		{"handshake missing", "trace", edited("jaeger-message.json", recordedHandshake, "66666666666666666666666666666666"), "has no link to a websocket.handshake"},
		{"our context is no link", "trace", edited("jaeger-message.json", recordedSenderSpan, "5555555555555555"), "no link to the traceparent of our message"},
		{"our context is the parent", "trace", edited("jaeger-message.json", `"name":"websocket.message message"`, `"parentSpanId":"4444444444444444","name":"websocket.message message"`), "is not a root of its own"},
		{"another kind", "trace", edited("jaeger-message.json", `"kind":5`, `"kind":2`), "of kind 2, not consumer"},
		{"another name", "trace", edited("jaeger-message.json", "websocket.message message", "GET /"), `is called "GET /"`},
		{"Jaeger hangs", "trace", broken("jaeger", hangs), "Jaeger does not answer: nothing came back"},
		{"Jaeger is another", "trace", broken("jaeger", saysNonsense), "Jaeger answers something else"},

		{"logs", "logs", nil, ""},
		{"no record", "logs", swapped("loki-streams.json", "loki-empty.json"), "Loki has no record with trace_id"},
		{"stream without records", "logs", edited("loki-streams.json", `["1795314426959413274","message handled"]`, ""), "Loki has no record with trace_id"},
		{"record without ids", "logs", edited("loki-streams.json", `"span_id"`, `"span"`), "from the log record back to its trace: not in Jaeger: trace"},
		{"record with what was said", "logs", func(s *stack) { s.leaks = true }, "a log record contains what our message said"},
		{"logs in VictoriaLogs", "logs", inVictoriaLogs, ""},
		{"no record in VictoriaLogs", "logs", both(inVictoriaLogs, swapped("victoria-logs-records.json", "victoria-logs-empty.json")), "VictoriaLogs has no record with trace_id"},
		{"record in VictoriaLogs without ids", "logs", both(inVictoriaLogs, edited("victoria-logs-records.json", `"span_id"`, `"span"`)), "from the log record back to its trace: not in Jaeger: trace"},
		{"record in VictoriaLogs without a time", "logs", both(inVictoriaLogs, edited("victoria-logs-records.json", `"_time"`, `"time"`)), "read the answer of VictoriaLogs: parsing time"},
		{"record in VictoriaLogs with what was said", "logs", both(inVictoriaLogs, func(s *stack) { s.leaks = true }), "a log record contains what our message said"},
		{"VictoriaLogs hangs", "logs", both(inVictoriaLogs, broken("victoria-logs", hangs)), "ask VictoriaLogs at http://127.0.0.1:"},
		{"VictoriaLogs fails", "logs", both(inVictoriaLogs, broken("victoria-logs", failsInside)), "VictoriaLogs answers 500 Internal Server Error: {\"error\":\"out of memory\"}"},
		{"VictoriaLogs is another", "logs", both(inVictoriaLogs, broken("victoria-logs", saysNonsense)), "read the answer of VictoriaLogs: invalid character"},
		{"no log store", "logs", func(s *stack) { s.noLogs = true }, "ask VictoriaLogs at http://127.0.0.1:1: connection refused: it is not running; ask Loki at http://127.0.0.1:1: connection refused"},
		{"Loki hangs", "logs", broken("loki", hangs), "ask Loki at http://127.0.0.1:"},
		{"Loki fails", "logs", broken("loki", failsInside), "Loki answers 500 Internal Server Error: {\"error\":\"out of memory\"}"},

		{"alerts", "alerts", nil, ""},
		{"no Watchdog", "alerts", edited("desk-inbox.json", `"Watchdog"`, `"Other"`), "has not reached the inbox"},
		{"Watchdog rejected", "alerts", edited("desk-inbox.json", `"accepted":true,"event":"trigger","alert":"Watchdog"`, `"accepted":false,"reason":"no version","alert":"Watchdog"`), "rejected the alert Watchdog: no version"},
		{"Watchdog resolved", "alerts", edited("desk-inbox.json", "trigger", "resolve"), "Watchdog was resolved"},
		{"Watchdog old", "alerts", edited("desk-inbox.json", "2026-11-22T02:40:00Z", "2020-01-01T00:00:00Z"), "the newest Watchdog in the inbox is"},
		{"desk is another", "alerts", broken("desk", saysNonsense), "the desk answers something else"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fault := c.fault
			if fault == nil {
				fault = func(*stack) {}
			}
			r := begin(t, newStack(t, fault))
			detail, err := attempt(t, r, c.step)
			switch {
			case c.want == "" && err != nil:
				t.Fatalf("the step does not hold: %v", err)
			case c.want == "" && detail == "":
				t.Error("the step holds without saying what was seen")
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Fatalf("error is %v, want one with %q", err, c.want)
			}
			var f *failure
			if c.want != "" && (!errors.As(err, &f) || !strings.HasPrefix(f.url, "http://127.0.0.1:")) {
				t.Errorf("the failure does not say what was asked: %#v", err)
			}
		})
	}
}

// attempt tries a step once.
func attempt(t *testing.T, r *run, name string) (string, error) {
	// A component that hangs costs what a test can wait for.
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	for _, s := range r.steps() {
		if s.name == name {
			return s.try(ctx)
		}
	}
	return "", fmt.Errorf("no step is called %s", name)
}

// TestExemplarOfAnother has a service so busy that only other messages got an exemplar.
func TestExemplarOfAnother(t *testing.T) {
	r := begin(t, newStack(t))
	clear(r.ours)
	detail, err := r.tryExemplar(t.Context())
	if err != nil || !strings.Contains(detail, "of another message") {
		t.Errorf("detail %q, error %v", detail, err)
	}
}

func TestIncrease(t *testing.T) {
	answered := time.Now()
	before := counters{"a": {answered.Add(-time.Second), 5000}, "b": {answered.Add(-time.Second), 7}}
	for _, c := range []struct {
		name string
		now  counters
		want float64
	}{
		{"nothing", counters{}, 0},
		{"moved", counters{"a": {answered.Add(time.Second), 5002}}, 2},
		{"scraped too early", counters{"a": {answered.Add(-time.Millisecond), 5002}}, 0},
		{"restarted", counters{"a": {answered.Add(time.Second), 3}}, 3},
		{"a new series", counters{"c": {answered.Add(time.Second), 1}}, 1},
		{"several instances", counters{"a": {answered.Add(time.Second), 5001}, "b": {answered.Add(time.Second), 8}}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.now.increase(before, answered); got != c.want {
				t.Errorf("increase is %v, want %v", got, c.want)
			}
		})
	}
}
