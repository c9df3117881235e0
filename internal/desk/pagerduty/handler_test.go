package pagerduty

import (
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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

// post sends a body to a handler and returns its answer.
func post(t testing.TB, in *inbox.Inbox, contentType, body string) (int, answer) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/v2/enqueue", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	Handler(in).ServeHTTP(w, r)
	var a answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("the answer is not JSON: %v", err)
	}
	return w.Code, a
}

type object = map[string]any

const key = "0123456789abcdef0123456789ABCDEF"

// edited returns a complete trigger with some members set, or left out by nil.
func edited(t testing.TB, event, payload object) string {
	t.Helper()
	p := object{"summary": "Messages are slow", "source": "chat", "severity": "critical"}
	e := object{"routing_key": key, "event_action": "trigger", "dedup_key": "k", "payload": p}
	maps.Copy(p, payload)
	maps.Copy(e, event)
	for _, o := range []object{p, e} {
		maps.DeleteFunc(o, func(_ string, v any) bool { return v == nil })
	}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRules(t *testing.T) {
	long := func(n int) string { return strings.Repeat("ä", n) }
	tests := []struct {
		name  string
		body  string
		wrong string // what the errors say; empty if the event is right
	}{
		{"complete", edited(t, nil, nil), ""},
		{"without dedup_key", edited(t, object{"dedup_key": nil}, nil), ""},
		{"acknowledge", `{"routing_key":"` + key + `","event_action":"acknowledge","dedup_key":"k"}`, ""},
		{"resolve", `{"routing_key":"` + key + `","event_action":"resolve","dedup_key":"k"}`, ""},
		{"everything", edited(t, object{
			"client": "Sockscope", "client_url": "https://example.com",
			"links":  []object{{"href": "https://example.com", "text": "Runbook"}, {"href": "x"}},
			"images": []object{{"src": "https://example.com/a.png", "href": "https://example.com", "alt": "A"}},
		}, object{
			"timestamp": "2015-07-17T08:42:58.315+0000", "component": "c", "group": "g", "class": "c",
			"custom_details": object{"load avg": 0.75},
		}), ""},
		{"longest allowed", edited(t, object{"dedup_key": long(255)}, object{"summary": long(1024)}), ""},
		{"members that nobody knows", edited(t, object{"x": 1}, object{"y": 2}), ""},

		{"empty", "", "not a JSON object"},
		{"not JSON", "{", "not a JSON object"},
		{"array", "[]", "not a JSON object"},
		{"null", "null", "not a JSON object"},
		{"two objects", "{}{}", "something follows"},
		{"not UTF-8", "{\"\xff\":1}", "not UTF-8"},
		{"nothing in it", "{}", "'routing_key' is missing or blank"},
		{"no action", edited(t, object{"event_action": nil}, nil), "'event_action' is missing or blank"},
		{"other action", edited(t, object{"event_action": "close"}, nil), "'event_action' is invalid"},
		{"short key", edited(t, object{"routing_key": key[1:]}, nil), "'routing_key' is incorrect"},
		{"long key", edited(t, object{"routing_key": key + "0"}, nil), "'routing_key' is incorrect"},
		{"odd key", edited(t, object{"routing_key": "-" + key[1:]}, nil), "'routing_key' is incorrect"},
		{"key is a number", edited(t, object{"routing_key": 5}, nil), "'routing_key' must be a string"},
		{"long dedup_key", edited(t, object{"dedup_key": long(256)}, nil), "'dedup_key' has 256 characters"},
		{"resolve what", edited(t, object{"event_action": "resolve", "dedup_key": nil}, nil), "'dedup_key' is missing"},
		{"acknowledge what", edited(t, object{"event_action": "acknowledge", "dedup_key": ""}, nil), "'dedup_key' is missing"},
		{"no payload", edited(t, object{"payload": nil}, nil), "'payload.summary' is missing"},
		{"payload is text", edited(t, object{"payload": "p"}, nil), "'payload' must be an object"},
		{"no summary", edited(t, nil, object{"summary": nil}), "'payload.summary' is missing"},
		{"blank summary", edited(t, nil, object{"summary": ""}), "'payload.summary' is missing"},
		{"long summary", edited(t, nil, object{"summary": long(1025)}), "'payload.summary' has 1025 characters"},
		{"no source", edited(t, nil, object{"source": nil}), "'payload.source' is missing"},
		{"no severity", edited(t, nil, object{"severity": nil}), "'payload.severity' is missing"},
		{"other severity", edited(t, nil, object{"severity": "none"}), "'payload.severity' is invalid"},
		{"capital severity", edited(t, nil, object{"severity": "Critical"}), "'payload.severity' is invalid"},
		{"details are text", edited(t, nil, object{"custom_details": "d"}), "'payload.custom_details' must be an object"},
		{"class is a number", edited(t, nil, object{"class": 1}), "'payload.class' must be a string"},
		{"no time", edited(t, nil, object{"timestamp": "yesterday"}), "'payload.timestamp' must be an ISO 8601 time"},
		{"links are text", edited(t, object{"links": "l"}, nil), "'links' must be an array of objects"},
		{"link is text", edited(t, object{"links": []string{"l"}}, nil), "'links[0]' must be an object"},
		{"link leads nowhere", edited(t, object{"links": []object{{"text": "t"}}}, nil), "'links[0].href' is missing"},
		{"image has no source", edited(t, object{"images": []object{{"alt": "a"}}}, nil), "'images[0].src' is missing"},
		{"image not by HTTPS", edited(t, object{"images": []object{{"src": "http://example.com/a.png"}}}, nil), "'images[0].src' must be an HTTPS URL"},
		{"too large", edited(t, nil, object{"custom_details": object{"d": strings.Repeat("x", maxBody)}}), "too large"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := newInbox(t)
			code, got := post(t, in, "application/json; charset=utf-8", test.body)
			kept := in.Notifications()
			if len(kept) != 1 {
				t.Fatalf("%d notifications are kept, want 1", len(kept))
			}
			if test.wrong == "" {
				if code != http.StatusAccepted || got.Status != "success" || got.DedupKey == "" || len(got.Errors) > 0 {
					t.Errorf("answer = %d %+v, want an accepted event with its dedup_key", code, got)
				}
				if !kept[0].Accepted || kept[0].Key != got.DedupKey {
					t.Errorf("kept %+v, want it accepted", kept[0])
				}
				return
			}
			if code != http.StatusBadRequest || got.Status != "invalid event" || got.Message == "" {
				t.Errorf("answer = %d %+v, want an invalid event", code, got)
			}
			if !strings.Contains(strings.Join(got.Errors, "\n"), test.wrong) {
				t.Errorf("errors = %q, want one with %q", got.Errors, test.wrong)
			}
			if kept[0].Accepted || !strings.Contains(kept[0].Reason, test.wrong) {
				t.Errorf("kept %+v, want it rejected for %q", kept[0], test.wrong)
			}
		})
	}
}

func TestEveryMistakeIsNamed(t *testing.T) {
	_, got := post(t, newInbox(t), "application/json", `{"event_action":"trigger","payload":{"severity":"bad"},"links":[{}]}`)
	want := []string{
		"'routing_key' is missing or blank",
		"'links[0].href' is missing or blank",
		"'payload.summary' is missing or blank",
		"'payload.source' is missing or blank",
		"'payload.severity' is invalid (must be one of [critical error warning info])",
	}
	if diff := cmp.Diff(want, got.Errors); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

func TestContentType(t *testing.T) {
	for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json2"} {
		if code, _ := post(t, newInbox(t), contentType, edited(t, nil, nil)); code != http.StatusBadRequest {
			t.Errorf("Content-Type %q is answered by %d, want %d", contentType, code, http.StatusBadRequest)
		}
	}
}

func TestNewAlertWithoutDedupKey(t *testing.T) {
	in := newInbox(t)
	_, first := post(t, in, "application/json", edited(t, object{"dedup_key": nil}, nil))
	_, second := post(t, in, "application/json", edited(t, object{"dedup_key": nil}, nil))
	if first.DedupKey == second.DedupKey {
		t.Errorf("both got the dedup_key %q", first.DedupKey)
	}
	if open := in.View().Open; len(open) != 2 {
		t.Errorf("%d alerts are open, want 2", len(open))
	}
}

// TestAlertmanager takes what a real Alertmanager 0.31.1 sent.
func TestAlertmanager(t *testing.T) {
	in := newInbox(t)
	for _, name := range []string{"alertmanager-trigger.json", "alertmanager-resolve.json"} {
		body, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if code, got := post(t, in, "application/json", string(body)); code != http.StatusAccepted {
			t.Fatalf("%s is answered by %d %+v", name, code, got)
		}
	}
	closed := in.View().Closed
	if len(closed) != 1 || closed[0].State != inbox.StateResolved {
		t.Fatalf("closed = %+v, want one resolved alert", closed)
	}
	got := closed[0].Events[1]
	want := inbox.Notification{
		Source: inbox.PagerDuty, Accepted: true, Event: inbox.Trigger, Outcome: inbox.Opened, Count: 1,
		Receiver: digest(key), Alert: "WebSocketLatencyHigh", Severity: "critical",
		Summary: "Messages of chat are handled slowly",
		Key:     "4644fc6ba4ca5d51a9faae5a079162c9f35e2a53fbdc7b2d11c05ed64b829a55",
		Links: []inbox.Link{
			{Text: "Runbook", Href: "https://github.com/sockscope/sockscope/blob/main/docs/runbooks/WebSocketLatencyHigh.md"},
			{Text: "Dashboard", Href: "http://127.0.0.1:3000/d/sockscope-websockets"},
			{Text: "Source", Href: "http://127.0.0.1:3000/d/sockscope-websockets"},
		},
		ID: got.ID, Received: got.Received, Since: got.Since,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trigger (-want +got):\n%s", diff)
	}
}

func TestAlertName(t *testing.T) {
	tests := []struct {
		event event
		want  string
	}{
		{event{Details: map[string]any{"alertname": "A"}, Class: "C"}, "A"},
		{event{Details: map[string]any{"firing": "Labels:\n - alertname = A\n - job = j\n"}, Class: "C"}, "A"},
		{event{Details: map[string]any{"firing": "", "resolved": "Labels:\n - alertname = A"}}, "A"},
		{event{Summary: "[FIRING:2] A (j critical)"}, "A"},
		{event{Summary: "Messages are slow", Class: "C"}, "C"},
		{event{Summary: "Messages are slow"}, ""},
	}
	for _, test := range tests {
		if got := alertName(test.event); got != test.want {
			t.Errorf("alertName(%+v) = %q, want %q", test.event, got, test.want)
		}
	}
}

// TestSubjects reads the alerts of an incident as the templates write them.
func TestSubjects(t *testing.T) {
	details := object{
		"firing":   "* A of demo/chat: p99: 2s (since T)\n* B of demo/chat: x (since T)\n* A of demo/chat: again\nand 2,980 more",
		"resolved": "* C of probe/eu: over (from T to T)",
	}
	n, errs := check([]byte(edited(t, nil, object{"custom_details": details})))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if diff := cmp.Diff([]inbox.Subject{{Alert: "A", Of: "demo/chat"}, {Alert: "B", Of: "demo/chat"}}, n.Firing); diff != "" {
		t.Errorf("firing (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]inbox.Subject{{Alert: "C", Of: "probe/eu"}}, n.Resolved); diff != "" {
		t.Errorf("resolved (-want +got):\n%s", diff)
	}
	for _, detail := range []any{"none", "", "- alertname = A", 5, "* not a subject"} {
		n, _ := check([]byte(edited(t, nil, object{"custom_details": object{"firing": detail}})))
		if len(n.Firing) > 0 {
			t.Errorf("%v is read as %v", detail, n.Firing)
		}
	}
	n, _ = check([]byte(edited(t, nil, object{"custom_details": object{"error": "Custom details have been removed"}})))
	if len(n.Warnings) != 1 || !strings.Contains(n.Warnings[0], "got lost") {
		t.Errorf("warnings = %q, want that the details got lost", n.Warnings)
	}
}

func TestSecretsAreNotKept(t *testing.T) {
	in := newInbox(t)
	post(t, in, "application/json", edited(t, nil, nil))
	n, err := in.Notification(in.Notifications()[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := json.Marshal(n); strings.Contains(string(text), key) {
		t.Errorf("the routing key is kept: %s", text)
	}
}

// FuzzHandler looks whether any body can be accepted that breaks a rule, or be answered by something else than the two
// documented answers.
func FuzzHandler(f *testing.F) {
	f.Add(edited(f, nil, nil))
	f.Add(edited(f, object{"links": []object{{"href": "h"}}, "images": []object{{"src": "https://x/y"}}}, object{"custom_details": object{"a": []int{1}}}))
	f.Add(`{"routing_key":"` + key + `","event_action":"resolve","dedup_key":"k","payload":null}`)
	f.Add(`{"payload":{"summary":"<no value>"}}`)
	f.Fuzz(func(t *testing.T, body string) {
		in := newInbox(t)
		code, got := post(t, in, "application/json", body)
		switch code {
		case http.StatusAccepted:
			e, _, errs := parse([]byte(body))
			if len(errs) > 0 || !isKey(e.RoutingKey) || got.DedupKey == "" {
				t.Errorf("accepted, but %v, key %q, answer %+v", errs, e.RoutingKey, got)
			}
			if e.Action == "trigger" && (e.Summary == "" || e.Severity == "") {
				t.Errorf("accepted a trigger without summary or severity: %+v", e)
			}
		case http.StatusBadRequest:
			if len(got.Errors) == 0 {
				t.Error("refused without an error")
			}
		default:
			t.Errorf("status %d", code)
		}
	})
}
