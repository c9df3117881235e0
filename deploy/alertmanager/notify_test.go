package alertmanager_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/internal/tool"
)

const (
	runbook   = "https://github.com/sockscope/sockscope/blob/main/docs/runbooks/WebSocketLatencyHigh.md"
	dashboard = "http://127.0.0.1:3000/d/sockscope-websockets?var-job=demo&var-namespace=chat"
)

// The real Alertmanager with the shipped settings, its waiting times divided by
// 60, sends what it would send to PagerDuty, Slack and the webhooks.
func TestNotifications(t *testing.T) {
	inbox := newInbox(t)
	post := start(t, inbox)

	slow := alert{
		Labels: labels{"alertname": "WebSocketLatencyHigh", "severity": "critical", "job": "demo", "namespace": "chat"},
		Annotations: labels{"summary": "Messages of chat are handled slowly", "description": "p99 is 2s",
			"runbook_url": runbook, "dashboard_url": dashboard},
	}
	drops := func(namespace string) alert {
		return alert{Labels: labels{"alertname": "HighConnectionDropRate", "severity": "warning", "job": "demo", "namespace": namespace},
			Annotations: labels{"summary": "Connections of " + namespace + " are breaking"}}
	}
	down := func(instance string) alert {
		return alert{Labels: labels{"alertname": "RealtimeTargetDown", "severity": "warning", "job": "demo", "instance": instance},
			Annotations: labels{"summary": "An instance of demo cannot be scraped", "description": instance + " is down"}}
	}
	post(slow, drops("chat"), drops("feed"), down("a:1"), down("b:1"),
		alert{Labels: labels{"alertname": "Watchdog", "severity": "none"}},
		alert{Labels: labels{"alertname": "Bare", "severity": "critical"}},
		alert{Labels: labels{"alertname": "Unknown"}})

	trigger := inbox.wait(t, "/v2/enqueue", `"summary":"Messages of chat`)
	var event pagerDutyEvent
	trigger.decode(t, &event)
	since := regexp.MustCompile(`^p99 is 2s \(since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\)$`)
	if firing := event.Payload.Details["firing"]; !since.MatchString(fmt.Sprint(firing)) {
		t.Errorf("details.firing is %q", firing)
	}
	key := event.DedupKey
	event.DedupKey, event.Payload.Details = "", nil
	want := pagerDutyEvent{
		RoutingKey: strings.TrimSpace(read(t, "secrets/desk/pagerduty_routing_key")),
		Action:     "trigger", Client: "Sockscope", ClientURL: dashboard,
		Links: []labels{{"href": runbook, "text": "Runbook"}, {"href": dashboard, "text": "Dashboard"}},
	}
	want.Payload.Summary, want.Payload.Source, want.Payload.Severity = "Messages of chat are handled slowly", "demo/chat", "critical"
	want.Payload.Class, want.Payload.Group, want.Payload.Component = "WebSocketLatencyHigh", "demo", "chat"
	if diff := cmp.Diff(want, event); diff != "" {
		t.Errorf("PagerDuty trigger (-want +got):\n%s", diff)
	}

	var message slackMessage
	inbox.wait(t, slackPath, "CRITICAL: Messages of chat").decode(t, &message)
	if diff := cmp.Diff(slackMessage{
		Text: "CRITICAL: Messages of chat are handled slowly",
		Attachments: []slackAttachment{{
			Title: "CRITICAL: Messages of chat are handled slowly", TitleLink: dashboard,
			Fallback: "CRITICAL: Messages of chat are handled slowly", Color: "danger",
			Actions: []labels{
				{"type": "button", "text": "Runbook", "url": runbook},
				{"type": "button", "text": "Dashboard", "url": dashboard},
			},
		}},
	}, message.withoutText()); diff != "" {
		t.Errorf("Slack message (-want +got):\n%s", diff)
	}

	inbox.wait(t, slackPath, "WARNING: Connections of feed are breaking")
	inbox.wait(t, slackPath, "WARNING: An instance of demo cannot be scraped (2 alerts)", `a:1 is down (since `, `b:1 is down (since `)
	inbox.wait(t, "/v2/enqueue", `"summary":"Bare"`, `"source":"sockscope"`, "/docs/runbooks/README.md", "/#/alerts")
	inbox.wait(t, "/webhook/default", `"alertname":"Unknown"`)
	inbox.wait(t, "/webhook/watchdog", `"alertname":"Watchdog"`)
	if inbox.has(slackPath, "Connections of chat") {
		t.Error("the page about chat did not mute the warning about chat")
	}

	slow.EndsAt = time.Now()
	post(slow)
	var resolve pagerDutyEvent
	inbox.wait(t, "/v2/enqueue", `"event_action":"resolve"`, "p99 is 2s (from ").decode(t, &resolve)
	if resolve.DedupKey != key || key == "" {
		t.Errorf("the event is resolved with dedup_key %q, it was triggered with %q", resolve.DedupKey, key)
	}
	inbox.wait(t, slackPath, "RESOLVED: Messages of chat are handled slowly", `"color":"good"`)
	inbox.wait(t, slackPath, "WARNING: Connections of chat are breaking") // no longer muted

	for _, n := range inbox.all() {
		if strings.Contains(n.body, "no value") || strings.Contains(n.body, `"href":""`) || strings.Contains(n.body, `"url":""`) {
			t.Errorf("a template found nothing to say: %s %s", n.path, n.body)
		}
	}
}

type labels map[string]string

type alert struct {
	Labels      labels    `json:"labels"`
	Annotations labels    `json:"annotations"`
	EndsAt      time.Time `json:"endsAt,omitzero"`
}

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
	Title     string   `json:"title"`
	TitleLink string   `json:"title_link"`
	Text      string   `json:"text"`
	Fallback  string   `json:"fallback"`
	Color     string   `json:"color"`
	Actions   []labels `json:"actions"`
}

// withoutText drops the texts that have the time in them.
func (m slackMessage) withoutText() slackMessage {
	for i := range m.Attachments {
		m.Attachments[i].Text = ""
	}
	return m
}

const slackPath = "/services/T00000000/B00000000/deskinboxonly"

// inbox takes notifications as PagerDuty, Slack and any webhook would.
type inbox struct {
	address string

	mu   sync.Mutex
	kept []notification
}

type notification struct{ path, body string }

func (n notification) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(n.body), into); err != nil {
		t.Fatalf("decode %s: %v", n.body, err)
	}
}

func newInbox(t *testing.T) *inbox {
	i := new(inbox)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var compact bytes.Buffer
		encoder := json.NewEncoder(&compact)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(json.RawMessage(body)); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		i.mu.Lock()
		i.kept = append(i.kept, notification{r.URL.Path, compact.String()})
		i.mu.Unlock()
		if r.URL.Path == "/v2/enqueue" {
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprint(w, `{"status":"success","message":"Event processed","dedup_key":"any"}`)
			return
		}
		fmt.Fprint(w, "ok")
	}))
	t.Cleanup(server.Close)
	i.address = server.Listener.Addr().String()
	return i
}

func (i *inbox) all() []notification {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]notification(nil), i.kept...)
}

func (i *inbox) find(path string, parts ...string) (notification, bool) {
next:
	for _, n := range i.all() {
		for _, part := range parts {
			if n.path != path || !strings.Contains(n.body, part) {
				continue next
			}
		}
		return n, true
	}
	return notification{}, false
}

func (i *inbox) has(path string, parts ...string) bool {
	_, ok := i.find(path, parts...)
	return ok
}

// wait returns the first notification that was sent to path and has all the
// parts in it.
func (i *inbox) wait(t *testing.T, path string, parts ...string) notification {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if n, ok := i.find(path, parts...); ok {
			return n
		}
	}
	t.Fatalf("nothing with %q was sent to %s, but:\n%v", parts, path, i.all())
	return notification{}
}

// start runs Alertmanager until the test ends, and returns how to send it alerts.
func start(t *testing.T, inbox *inbox) (post func(...alert)) {
	t.Helper()
	program := tool.Path(t, "alertmanager")
	dir := t.TempDir()
	render := func(from, to string) {
		text := strings.NewReplacer("desk:8090", inbox.address, "/etc/alertmanager", dir).Replace(read(t, from))
		path := filepath.Join(dir, to)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(shorter(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	render(config, config)
	for _, path := range glob(t, "templates/*") {
		render(path, path)
	}
	for _, path := range glob(t, "secrets/desk/*") {
		render(path, filepath.Join("secrets", filepath.Base(path)))
	}

	address := freeAddress(t)
	var log bytes.Buffer
	command := exec.Command(program, "--config.file="+filepath.Join(dir, config), "--storage.path="+filepath.Join(dir, "data"),
		"--cluster.listen-address=", "--web.listen-address="+address, "--web.external-url=http://"+address)
	command.Stdout, command.Stderr = &log, &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := command.Process.Kill(); err != nil {
			t.Errorf("stop Alertmanager: %v", err)
		}
		_ = command.Wait() // "signal: killed"
		if t.Failed() {
			t.Log(log.String())
		}
	})

	deadline := time.Now().Add(30 * time.Second)
	for {
		response, err := http.Get("http://" + address + "/-/ready")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("Alertmanager did not become ready: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return func(alerts ...alert) {
		t.Helper()
		body, err := json.Marshal(alerts)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.Post("http://"+address+"/api/v2/alerts", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Fatalf("post alerts: %s", response.Status)
		}
	}
}

var waits = regexp.MustCompile(`(group_wait|group_interval|repeat_interval): (\d+)(s|m|h)`)

// shorter divides the waiting times by 60.
func shorter(text string) string {
	return waits.ReplaceAllStringFunc(text, func(found string) string {
		parts := waits.FindStringSubmatch(found)
		n, err := strconv.Atoi(parts[2])
		if err != nil {
			return found
		}
		unit := map[string]int{"s": 1000, "m": 60_000, "h": 3_600_000}[parts[3]]
		return fmt.Sprintf("%s: %dms", parts[1], n*unit/60)
	})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
