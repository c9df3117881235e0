package webhook

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/internal/desk/inbox"
)

func newInbox(t testing.TB) *inbox.Inbox {
	t.Helper()
	in, err := inbox.Open("", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func post(in *inbox.Inbox, target, contentType, body string) (int, string) {
	mux := http.NewServeMux()
	mux.Handle("POST /webhook/{name}", Handler(in))
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

const complete = `{"version":"4","groupKey":"{}:{}","status":"firing","receiver":"default","externalURL":"http://127.0.0.1:9093",
"commonLabels":{"alertname":"A","severity":"info"},"commonAnnotations":{},
"alerts":[{"status":"firing","labels":{"alertname":"A"},"annotations":{"summary":"s"},"startsAt":"2026-11-22T02:00:00Z"}]}`

func TestRules(t *testing.T) {
	edit := func(old, with string) string {
		edited := strings.Replace(complete, old, with, 1)
		if edited == complete {
			t.Fatalf("%q is not in the body", old)
		}
		return edited
	}
	tests := []struct {
		name  string
		body  string
		wrong string
	}{
		{"complete", complete, ""},
		{"members that nobody knows", edit(`"version"`, `"routeLabels":{},"notification_reason":"x","version"`), ""},
		{"cut by max_alerts", edit(`"status":"firing","receiver"`, `"status":"resolved","truncatedAlerts":3,"receiver"`), ""},

		{"empty", "", "not a webhook's JSON"},
		{"not JSON", "{", "not a webhook's JSON"},
		{"array", "[]", "not a webhook's JSON"},
		{"two objects", complete + complete, "something follows"},
		{"not UTF-8", edit(`"s"`, "\"\xff\""), "not UTF-8"},
		{"null", "null", "version is"},
		{"other version", edit(`"version":"4"`, `"version":"3"`), `version is "3"`},
		{"no group", edit(`"groupKey":"{}:{}"`, `"groupKey":""`), "groupKey is missing"},
		{"no receiver", edit(`"receiver":"default"`, `"receiver":""`), "receiver is missing"},
		{"other status", edit(`"status":"firing"`, `"status":"ok"`), `status is "ok"`},
		{"status of nobody", edit(`"status":"firing"`, `"status":"resolved"`), "1 of 1 alerts are firing"},
		{"no alerts", edit(`"alerts":[{`, `"alerts":[],"x":[{`), "alerts is empty"},
		{"alert without status", edit(`[{"status":"firing"`, `[{"status":""`), "alerts[0].status"},
		{"alert without labels", edit(`"labels":{"alertname":"A"}`, `"labels":{}`), "alerts[0].labels"},
		{"label is a number", edit(`"labels":{"alertname":"A"}`, `"labels":{"alertname":1}`), "not a webhook's JSON"},
		{"alert without start", edit(`"startsAt"`, `"x"`), "alerts[0].startsAt"},
		{"no time", edit(`"2026-11-22T02:00:00Z"`, `"now"`), "not a webhook's JSON"},
		{"truncated is negative", edit(`"version"`, `"truncatedAlerts":-1,"version"`), "not a webhook's JSON"},
		{"too large", edit(`"s"`, `"`+strings.Repeat("x", maxBody)+`"`), "too large"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := newInbox(t)
			code, answer := post(in, "/webhook/default", "application/json", test.body)
			n := in.Notifications()[0]
			if test.wrong == "" {
				if code != http.StatusOK || !n.Accepted {
					t.Errorf("answer = %d %s, kept %+v; want it accepted", code, answer, n)
				}
				return
			}
			if code != http.StatusBadRequest || !strings.Contains(answer, test.wrong) || n.Accepted || !strings.Contains(n.Reason, test.wrong) {
				t.Errorf("answer = %d %s, kept %+v; want it rejected for %q", code, answer, n, test.wrong)
			}
		})
	}
}

func TestNameAndContentType(t *testing.T) {
	tests := []struct {
		target, contentType string
		code, kept          int
	}{
		{"/webhook/watchdog", "application/json", 200, 1},
		{"/webhook/a-b_2", "application/json; charset=utf-8", 200, 1},
		{"/webhook/Watchdog", "application/json", 404, 0},
		{"/webhook/" + strings.Repeat("a", 64), "application/json", 404, 0},
		{"/webhook/default", "text/plain", 400, 1},
		{"/webhook/default", "", 400, 1},
	}
	for _, test := range tests {
		in := newInbox(t)
		code, _ := post(in, test.target, test.contentType, complete)
		if code != test.code || len(in.Notifications()) != test.kept {
			t.Errorf("%s of type %q is answered by %d and %d kept, want %d and %d",
				test.target, test.contentType, code, len(in.Notifications()), test.code, test.kept)
		}
	}
}

// TestAlertmanager takes what a real Alertmanager 0.31.1 sent.
func TestAlertmanager(t *testing.T) {
	body, err := os.ReadFile("testdata/alertmanager-firing.json")
	if err != nil {
		t.Fatal(err)
	}
	in := newInbox(t)
	if code, answer := post(in, "/webhook/watchdog", "application/json", string(body)); code != 200 {
		t.Fatalf("answer = %d %s", code, answer)
	}
	h := in.View().Heartbeats
	if len(h) != 1 {
		t.Fatalf("heartbeats = %+v, want one", h)
	}
	got := h[0].Latest
	want := inbox.Notification{
		Source: inbox.Webhook, Receiver: "watchdog", Accepted: true, Event: inbox.Trigger, Outcome: inbox.Opened, Count: 1,
		Alert: "Watchdog", Severity: "none", Summary: "Alerting works",
		Firing: []inbox.Subject{{Alert: "Watchdog", Of: "sockscope-demo"}},
		Key:    `{}/{alertname="Watchdog"}:{alertname="Watchdog", job="sockscope-demo"}`,
		Links: []inbox.Link{
			{Text: "Runbook", Href: "https://github.com/sockscope/sockscope/blob/main/docs/runbooks/Watchdog.md"},
			{Text: "Dashboard", Href: "http://127.0.0.1:3000/d/sockscope-websockets"},
			{Text: "Source", Href: "http://127.0.0.1:29093"},
		},
		ID: got.ID, Received: got.Received, Since: got.Since,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzHandler(f *testing.F) {
	f.Add(complete)
	f.Add(`{"version":"4","groupKey":"k","status":"resolved","receiver":"r","alerts":[{"status":"resolved","labels":{"a":"b"},"startsAt":"2026-11-22T02:00:00Z"}]}`)
	f.Add(`{"alerts":[{},{}],"commonLabels":{"alertname":"<no value>"}}`)
	f.Fuzz(func(t *testing.T, body string) {
		in := newInbox(t)
		code, answer := post(in, "/webhook/default", "application/json", body)
		n := in.Notifications()[0]
		switch {
		case code == 200 && (n.Key == "" || n.Event != inbox.Trigger && n.Event != inbox.Resolve):
			t.Errorf("accepted without a key or state: %+v", n)
		case code == 400 && (n.Accepted || strings.TrimSpace(answer) == ""):
			t.Errorf("refused by %q, kept %+v", answer, n)
		case code != 200 && code != 400:
			t.Errorf("status %d", code)
		}
	})
}

func TestAnnotation(t *testing.T) {
	var two message
	body := `{"commonAnnotations":{"summary":"same"},"alerts":[{"annotations":{"summary":"same","dashboard_url":"/d/a"}},{"annotations":{"summary":"same","dashboard_url":"/d/b"}}]}`
	if err := json.Unmarshal([]byte(body), &two); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"summary": "same", "dashboard_url": "/d/a", "runbook_url": ""} {
		if got := two.annotation(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := (message{}).annotation("summary"); got != "" {
		t.Errorf("nothing has the summary %q", got)
	}
}
