package alertmanager_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

const (
	repository = "https://github.com/sockscope/sockscope/blob/main/"
	runbook    = repository + "docs/runbooks/WebSocketLatencyHigh.md"
	dashboard  = "http://127.0.0.1:3000/d/sockscope-websockets?var-job=demo&var-namespace=chat"
	query      = "http://127.0.0.1:9090/graph?g0.expr=up+%3E+1&g0.tab=1"
)

type pagerDutyEvent struct {
	RoutingKey string   `json:"routing_key"`
	DedupKey   string   `json:"dedup_key"`
	Action     string   `json:"event_action"`
	Client     string   `json:"client"`
	ClientURL  string   `json:"client_url"`
	Links      []labels `json:"links"`
	Payload    struct {
		Summary   string         `json:"summary"`
		Source    string         `json:"source"`
		Severity  string         `json:"severity"`
		Class     string         `json:"class"`
		Group     string         `json:"group"`
		Component string         `json:"component"`
		Details   map[string]any `json:"custom_details"`
	} `json:"payload"`
}

type slackMessage struct {
	Text        string            `json:"text"`
	Attachments []slackAttachment `json:"attachments"`
}

type slackAttachment struct {
	Title      string           `json:"title"`
	TitleLink  string           `json:"title_link"`
	Text       string           `json:"text"`
	Fallback   string           `json:"fallback"`
	CallbackID string           `json:"callback_id"`
	Color      string           `json:"color"`
	Fields     []map[string]any `json:"fields"`
	Actions    []labels         `json:"actions"`
}

func slowMessages() alert {
	return alert{
		Labels: labels{"alertname": "WebSocketLatencyHigh", "severity": "critical", "job": "demo", "namespace": "chat", "service": "demo"},
		Annotations: labels{"summary": "Messages of chat are handled slowly", "description": "p99: 2s",
			"runbook_url": runbook, "dashboard_url": dashboard},
		GeneratorURL: query,
	}
}

var times = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC`)

// TestPageAndMessage looks at every word of a page and its message, while it fires and when it is over.
func TestPageAndMessage(t *testing.T) {
	r := start(t, unchanged)
	slow := slowMessages()
	r.post(t, slow)

	silence := func(filter string) string {
		return "http://" + r.address + "/#/silences/new?filter=" + strings.ReplaceAll(url.QueryEscape(filter), "+", "%20")
	}
	const all = `{alertname="WebSocketLatencyHigh",job="demo",namespace="chat",service="demo"}`

	var event pagerDutyEvent
	r.wait(t, pagerDutyPath, `"trigger"`).decode(t, &event)
	key := event.DedupKey
	event.DedupKey = ""
	event.Payload.Details["firing"] = times.ReplaceAllString(fmt.Sprint(event.Payload.Details["firing"]), "T")
	want := pagerDutyEvent{
		RoutingKey: strings.TrimSpace(read(t, "secrets/desk/pagerduty_routing_key")),
		Action:     "trigger", Client: "Sockscope", ClientURL: dashboard,
	}
	want.Links = []labels{
		{"href": runbook, "text": "Runbook"}, {"href": dashboard, "text": "Dashboard"},
		{"href": query, "text": "Query"}, {"href": silence(all), "text": "Silence"},
	}
	want.Payload.Summary, want.Payload.Source, want.Payload.Severity = "Messages of chat are handled slowly", "demo", "critical"
	want.Payload.Class, want.Payload.Group, want.Payload.Component = "WebSocketLatencyHigh", "demo", "chat"
	want.Payload.Details = map[string]any{
		"firing":   "* WebSocketLatencyHigh of demo/chat: p99: 2s (since T)",
		"resolved": "none", "num_firing": 1.0, "num_resolved": 0.0,
	}
	if diff := cmp.Diff(want, event); diff != "" {
		t.Errorf("PagerDuty trigger (-want +got):\n%s", diff)
	}

	var message slackMessage
	r.wait(t, slackPath, "CRITICAL: Messages of chat").decode(t, &message)
	when := func() {
		for _, f := range message.Attachments[0].Fields {
			f["value"] = times.ReplaceAllString(fmt.Sprint(f["value"]), "T")
		}
	}
	when()
	const title = "CRITICAL: Messages of chat are handled slowly"
	wanted := slackMessage{
		Text: title,
		Attachments: []slackAttachment{{
			Title: title, TitleLink: dashboard, Fallback: title, Color: "danger", Text: "• p99: 2s",
			CallbackID: "WebSocketLatencyHigh of demo/chat",
			Fields: []map[string]any{
				{"title": "Where", "value": "demo/chat", "short": true},
				{"title": "When", "value": "since T", "short": true},
			},
			Actions: []labels{
				{"type": "button", "text": "Runbook", "url": runbook},
				{"type": "button", "text": "Dashboard", "url": dashboard},
				{"type": "button", "text": "Query", "url": query},
				{"type": "button", "text": "Silence", "url": silence(all)},
			},
		}},
	}
	if diff := cmp.Diff(wanted, message); diff != "" {
		t.Errorf("Slack message (-want +got):\n%s", diff)
	}
	if got := fmt.Sprint(r.inbox(t)); got != "[WebSocketLatencyHigh of demo/chat open pagerduty=open slack=open]" {
		t.Errorf("the inbox has %s, want one entry with both channels", got)
	}

	r.resolve(t, slow)
	var resolve pagerDutyEvent
	r.wait(t, pagerDutyPath, `"resolve"`).decode(t, &resolve)
	if resolve.DedupKey != key || key == "" {
		t.Errorf("the event is resolved with dedup_key %q, it was triggered with %q", resolve.DedupKey, key)
	}
	if got := times.ReplaceAllString(fmt.Sprint(resolve.Payload.Details["resolved"]), "T"); got != "* WebSocketLatencyHigh of demo/chat: p99: 2s (from T to T)" {
		t.Errorf("details.resolved is %q", got)
	}
	message = slackMessage{}
	r.wait(t, slackPath, "RESOLVED: Messages of chat").decode(t, &message)
	when()
	if got := message.Attachments[0]; got.Color != "good" || got.Fields[1]["value"] != "from T to T" {
		t.Errorf("the message of the end is %+v", got)
	}
	if got := fmt.Sprint(r.inbox(t)); got != "[WebSocketLatencyHigh of demo/chat resolved pagerduty=resolved slack=resolved]" {
		t.Errorf("the inbox has %s, want one entry that is over", got)
	}
}

// TestWhoIsTold sends an alert of each kind and sees who gets it, and that links of alerts that have none lead
// somewhere.
func TestWhoIsTold(t *testing.T) {
	r := start(t, unchanged)
	named := func(name, severity string) alert {
		return alert{Labels: labels{"alertname": name, "severity": severity, "job": name}}
	}
	down := func(instance string) alert {
		return alert{Labels: labels{"alertname": "Warned", "severity": "warning", "job": "demo", "instance": instance},
			Annotations: labels{"summary": "Instances of demo are odd", "description": instance + " is odd"}}
	}
	r.post(t, named("Watchdog", "none"), named("Paged", "critical"), down("a:1"), down("b:1"), named("Shown", "info"),
		named("Quiet", "none"), named("Odd", "urgent"), alert{Labels: labels{"alertname": "Bare"}})
	r.wait(t, watchdogPath, `"alertname":"Watchdog"`)
	r.wait(t, pagerDutyPath, `"summary":"Paged"`, "/docs/runbooks/README.md", "/#/alerts", "/#/silences/new?filter=")
	r.wait(t, slackPath, "CRITICAL: Paged")
	r.wait(t, slackPath, "WARNING: Instances of demo are odd (and 1 more)", "• a:1 is odd (since ", "• b:1 is odd (since ")
	r.wait(t, slackPath, "URGENT: Odd")
	r.wait(t, slackPath, "FIRING: Bare")
	r.await(t, "a second heartbeat", func() bool { return len(r.all(watchdogPath)) > 1 })
	for _, name := range []string{"Shown", "Quiet"} {
		for _, path := range []string{pagerDutyPath, slackPath, watchdogPath} {
			if len(r.all(path, name)) > 0 {
				t.Errorf("%s was told to %s", name, path)
			}
		}
	}
	for _, name := range []string{"Warned", "Odd", "Bare", "Watchdog"} {
		if len(r.all(pagerDutyPath, name)) > 0 {
			t.Errorf("%s paged somebody", name)
		}
	}
	r.inbox(t)
}

// TestOnePagePerCause lets messages be slow: the service says so, and its probe.
func TestOnePagePerCause(t *testing.T) {
	r := start(t, unchanged)
	slow := slowMessages()
	probe := alert{
		Labels:      labels{"alertname": "WebSocketProbeFailing", "severity": "critical", "job": "probe", "target": "eu", "service": "demo"},
		Annotations: labels{"summary": "Most probes of eu fail"},
	}
	other := alert{Labels: labels{"alertname": "WebSocketLatencyHigh", "severity": "critical", "job": "other", "namespace": "chat", "service": "other"}}
	r.post(t, slow)
	r.wait(t, pagerDutyPath, `"trigger"`, "Messages of chat")
	r.post(t, probe, other)
	r.wait(t, pagerDutyPath, `* WebSocketLatencyHigh of demo/chat`, `* WebSocketProbeFailing of probe/eu`, `"summary":"Messages of chat are handled slowly (and 1 more)"`)
	r.wait(t, pagerDutyPath, `* WebSocketLatencyHigh of other/chat`)
	r.wait(t, slackPath, "Most probes of eu fail")
	keys := map[string]string{}
	for _, n := range r.all(pagerDutyPath) {
		var event pagerDutyEvent
		n.decode(t, &event)
		keys[event.DedupKey] = event.Payload.Source
	}
	if len(keys) != 2 {
		t.Errorf("the incidents are %v, want one for demo and one for other", keys)
	}
	want := []string{
		"WebSocketLatencyHigh of demo/chat open pagerduty=open slack=open",
		"WebSocketLatencyHigh of other/chat open pagerduty=open slack=open",
		"WebSocketProbeFailing of probe/eu open pagerduty=open slack=open",
	}
	r.await(t, "one entry per alert", func() bool {
		var got []string
		for _, e := range r.inbox(t) {
			got = append(got, e.String())
		}
		slices.Sort(got)
		return slices.Equal(want, got)
	})
}

// TestInhibition asks Alertmanager which alerts are held back while others fire.
func TestInhibition(t *testing.T) {
	r := start(t, unchanged)
	of := func(text string) alert {
		a := alert{Labels: labels{}}
		for pair := range strings.FieldsSeq(text) {
			name, value, _ := strings.Cut(pair, "=")
			a.Labels[name] = value
		}
		return a
	}
	tests := []struct {
		name           string
		firing         string
		muted, unmuted []string
	}{
		{"page of an endpoint", "alertname=P severity=critical job=d service=d namespace=chat",
			[]string{"alertname=W severity=warning job=d service=d namespace=chat", "alertname=W severity=warning job=d service=d instance=a"},
			[]string{"alertname=W severity=warning job=d service=d namespace=feed", "alertname=W severity=warning job=e service=e namespace=chat",
				"alertname=W severity=warning job=e service=e", "alertname=C severity=critical job=d service=d namespace=chat"}},
		{"page without a service", "alertname=P severity=critical job=d namespace=chat",
			[]string{"alertname=W severity=warning job=d namespace=chat"},
			[]string{"alertname=W severity=warning job=d", "alertname=W severity=warning"}},
		{"page of a probe", "alertname=WebSocketProbeFailing severity=critical job=probe target=eu service=d",
			[]string{"alertname=WebSocketProbeSlow severity=warning job=probe target=eu service=d", "alertname=W severity=warning job=d service=d namespace=chat"},
			[]string{"alertname=W severity=warning job=e service=e namespace=chat"}},
		{"backplane down", "alertname=WebSocketBackplaneDown severity=critical job=d",
			[]string{"alertname=WebSocketSilentStall severity=critical job=d namespace=chat", "alertname=WebSocketBackplaneLagging severity=warning job=d"},
			[]string{"alertname=WebSocketLatencyHigh severity=critical job=d namespace=chat", "alertname=WebSocketSilentStall severity=critical job=e namespace=chat"}},
		{"service missing", "alertname=RealtimeTargetMissing severity=critical job=d",
			[]string{"alertname=WebSocketConnectionsCollapsed severity=critical job=d namespace=chat", "alertname=RealtimeTargetDown severity=warning job=d instance=a"},
			[]string{"alertname=WebSocketConnectionsCollapsed severity=critical job=e namespace=chat", "alertname=Watchdog severity=none", "alertname=RealtimeTargetMissing severity=critical job=e"}},
		{"instance down", "alertname=RealtimeTargetDown severity=warning job=d instance=a",
			[]string{"alertname=WebSocketGoroutineLeak severity=warning job=d instance=a"},
			[]string{"alertname=WebSocketGoroutineLeak severity=warning job=d instance=b", "alertname=WebSocketLatencyHigh severity=critical job=d namespace=chat",
				"alertname=RealtimeTargetDown severity=warning job=d instance=b"}},
		{"Collector down", "alertname=RealtimeTargetDown severity=critical job=otel-collector instance=c",
			[]string{"alertname=RealtimeTargetMissing severity=critical job=d", "alertname=RealtimeTargetMissing severity=critical job=probe"},
			[]string{"alertname=WebSocketProbeFailing severity=critical job=probe target=eu"}},
		{"Collector down, nobody paged", "alertname=RealtimeTargetDown severity=warning job=otel-collector instance=c",
			nil, []string{"alertname=RealtimeTargetMissing severity=critical job=d"}},
		{"store down", "alertname=RealtimeTargetDown severity=warning job=loki instance=l",
			[]string{"alertname=TelemetryQueueFilling severity=warning job=otel-collector", "alertname=TelemetryLost severity=warning job=otel-collector"},
			[]string{"alertname=TelemetryRefused severity=warning job=otel-collector"}},
		{"service down is no store", "alertname=RealtimeTargetDown severity=warning job=d instance=l",
			nil, []string{"alertname=TelemetryQueueFilling severity=warning job=otel-collector"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r.post(t, of(test.firing))
			defer r.resolve(t, of(test.firing))
			for _, text := range test.muted {
				if !r.inhibited(t, of(text)) {
					t.Errorf("%s is told", text)
				}
			}
			for _, text := range test.unmuted {
				if r.inhibited(t, of(text)) {
					t.Errorf("%s is held back", text)
				}
			}
		})
	}
}

// inhibited tells whether Alertmanager holds an alert back that fires now.
func (r *routing) inhibited(t *testing.T, a alert) bool {
	t.Helper()
	r.post(t, a)
	defer r.resolve(t, a)
	var answer []struct {
		Labels labels `json:"labels"`
		Status struct {
			InhibitedBy []string `json:"inhibitedBy"`
		} `json:"status"`
	}
	get(t, "http://"+r.address+"/api/v2/alerts", &answer)
	for _, found := range answer {
		if cmp.Equal(found.Labels, a.Labels) {
			return len(found.Status.InhibitedBy) > 0
		}
	}
	t.Errorf("Alertmanager does not have %v", a.Labels)
	return false
}

// TestMaintenance lets the time for planned work be now.
func TestMaintenance(t *testing.T) {
	r := start(t, func(text string) string { return strings.ReplaceAll(text, "years: ['2000']", "years: ['2000:2999']") })
	warning := func(name string) alert {
		return alert{Labels: labels{"alertname": name, "severity": "warning", "job": name}}
	}
	r.post(t, warning("Muted"))
	r.post(t, alert{Labels: labels{"alertname": "Paged", "severity": "critical", "job": "demo"}})
	r.wait(t, pagerDutyPath, "Paged")
	r.wait(t, slackPath, "CRITICAL: Paged")
	metric := regexp.MustCompile(`alertmanager_notifications_suppressed_total\{reason="mute_time_interval"\} [1-9]`)
	// Heartbeats make it look again.
	r.post(t, alert{Labels: labels{"alertname": "Watchdog"}})
	r.await(t, "the count of what was muted", func() bool { return metric.MatchString(r.metrics(t)) })
	if len(r.all(slackPath, "Muted")) > 0 {
		t.Error("the warning was told during planned work")
	}
}

// metrics returns Alertmanager's own.
func (r *routing) metrics(t *testing.T) string {
	t.Helper()
	response, err := http.Get("http://" + r.address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestLargeGroup lets one alert fire on 3,000 instances.
func TestLargeGroup(t *testing.T) {
	r := start(t, unchanged)
	alerts := make([]alert, 3000)
	for i := range alerts {
		instance := fmt.Sprintf("10.0.%d.%d:8080", i/256, i%256)
		alerts[i] = alert{
			Labels: labels{"alertname": "Many", "severity": "critical", "job": "demo", "namespace": "chat", "service": "demo", "instance": instance},
			Annotations: labels{"summary": "Instances are full", "description": instance + " is full " + strings.Repeat("and more & more ", 100),
				"runbook_url": runbook, "dashboard_url": dashboard},
			GeneratorURL: query,
		}
	}
	r.post(t, alerts...)
	var event pagerDutyEvent
	r.wait(t, pagerDutyPath, `"num_firing":3000`).decode(t, &event)
	firing := fmt.Sprint(event.Payload.Details["firing"])
	if lines := strings.Count(firing, "* Many of demo/chat: "); lines != 20 || !strings.HasSuffix(firing, "\nand 2,980 more") {
		t.Errorf("details.firing has %d lines and ends with %q", lines, firing[max(0, len(firing)-50):])
	}
	if event.Payload.Summary != "Instances are full (and 2,999 more)" {
		t.Errorf("the summary is %q", event.Payload.Summary)
	}
	var message slackMessage
	r.wait(t, slackPath, "(and 2,999 more)").decode(t, &message)
	text := message.Attachments[0].Text
	if lines := strings.Count(text, "• 10.0."); lines != 20 || !strings.HasSuffix(text, "\nand 2,980 more") {
		t.Errorf("the message has %d lines and ends with %q", lines, text[max(0, len(text)-50):])
	}
	r.inbox(t)
}

// TestHostileLabels sends labels that try to ping a channel, to disguise a link, to make a notification too long, and
// to make it fail.
func TestHostileLabels(t *testing.T) {
	for name, evil := range map[string]string{
		"mention":     "<!here> <!channel> <@U123> & < >",
		"link":        "<https://evil.example.com|Runbook>",
		"lines":       "fine\n* WebSocketLatencyHigh of demo/chat: over\r\n\tRESOLVED",
		"template":    `a: "{{ .NoSuchThing }} {{ bad"`,
		"YAML":        "{a: [1, 2], b: *c}",
		"long":        strings.Repeat("&<>\U0001F600", 5000),
		"quotes":      `"'` + "`\\n%zz",
		"no value":    "no value",
		"replacement": "$1 ${1} \\1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, unchanged)
			a := alert{
				Labels:      labels{"alertname": evil, "severity": "critical", "job": evil, "namespace": evil, "service": evil},
				Annotations: labels{"summary": evil, "description": evil, "runbook_url": evil, "dashboard_url": evil},
			}
			r.post(t, a)
			page := r.wait(t, pagerDutyPath, `"trigger"`)
			shown := r.wait(t, slackPath, "CRITICAL: ")
			if page.status != http.StatusAccepted || shown.status != http.StatusOK {
				t.Errorf("PagerDuty answers %d, Slack %d", page.status, shown.status)
			}
			r.inbox(t)
			var event pagerDutyEvent
			page.decode(t, &event)
			if firing, ok := event.Payload.Details["firing"].(string); !ok || strings.Contains(firing, "\n") {
				t.Errorf("details.firing is %v, want one line", event.Payload.Details["firing"])
			}
			var message slackMessage
			shown.decode(t, &message)
			attachment := message.Attachments[0]
			for _, text := range []string{message.Text, attachment.Title, attachment.Text, attachment.Fallback, fmt.Sprint(attachment.Fields)} {
				if strings.ContainsAny(text, "<>") || strings.Contains(text, "\n") {
					t.Errorf("Slack is told %q", text)
				}
			}
			if length := utf8.RuneCountInString(attachment.Text); length > 8000 {
				t.Errorf("the message has %d characters", length)
			}
			for _, action := range attachment.Actions {
				if u, err := url.Parse(action["url"]); err != nil || u.Host == "evil.example.com" || len(action["url"]) > 3000 {
					t.Errorf("the button %s leads to %.200s: %v", action["text"], action["url"], err)
				}
			}
			r.resolve(t, a)
			r.wait(t, pagerDutyPath, `"resolve"`)
			r.wait(t, slackPath, "RESOLVED: ")
		})
	}
}

// TestVendorsFail lets PagerDuty and Slack refuse for a while. PagerDuty is tried again at once, Slack not before the
// next group interval if it is asked too much.
func TestVendorsFail(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusInternalServerError} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			r := start(t, unchanged)
			r.outage(t, "pagerduty", status)
			r.outage(t, "slack", status)
			r.post(t, slowMessages())
			r.await(t, "a refusal by both", func() bool { return len(r.all(pagerDutyPath)) > 0 && len(r.all(slackPath)) > 0 })
			r.outage(t, "pagerduty", 0)
			r.outage(t, "slack", 0)
			accepted := func(path string, status int) bool {
				return slices.ContainsFunc(r.all(path), func(n request) bool { return n.status == status })
			}
			r.await(t, "the page and the message afterwards", func() bool {
				return accepted(pagerDutyPath, http.StatusAccepted) && accepted(slackPath, http.StatusOK)
			})
		})
	}
}

// TestLinksResolve follows the links that the templates have in themselves.
func TestLinksResolve(t *testing.T) {
	links := regexp.MustCompile(regexp.QuoteMeta(repository)+`[^{ ]+`).FindAllString(read(t, "templates/sockscope.tmpl"), -1)
	if len(links) == 0 {
		t.Error("the templates have no link of their own")
	}
	for _, link := range links {
		if _, err := os.Stat(filepath.Join("..", "..", strings.TrimPrefix(link, repository))); err != nil {
			t.Errorf("%s leads nowhere: %v", link, err)
		}
	}
}
