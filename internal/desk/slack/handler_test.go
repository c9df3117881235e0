package slack

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
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

const hookPath = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"

// post sends a body and returns status and text of the answer.
func post(t testing.TB, in *inbox.Inbox, target, contentType, body string) (int, string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("POST /services/{team}/{hook}/{token}", Handler(in))
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestRules(t *testing.T) {
	attachments := func(n int, each string) string {
		return `{"attachments":[` + strings.TrimSuffix(strings.Repeat(each+",", n), ",") + `]}`
	}
	action := func(a string) string { return attachments(1, `{"text":"t","actions":[`+a+`]}`) }
	tests := []struct {
		name string
		body string
		code int
		want string // the answer
		why  string // what the inbox says
	}{
		{"text", `{"text":"hello"}`, 200, "ok", ""},
		{"blocks", `{"blocks":[{"type":"divider"}]}`, 200, "ok", ""},
		{"attachment with text", attachments(1, `{"text":"t"}`), 200, "ok", ""},
		{"attachment with fallback", attachments(1, `{"fallback":"t"}`), 200, "ok", ""},
		{"attachment with blocks", attachments(1, `{"blocks":[{"type":"divider"}]}`), 200, "ok", ""},
		{"most attachments", attachments(100, `{"text":"t"}`), 200, "ok", ""},
		{"button with address", action(`{"type":"button","text":"t","url":"https://example.com"}`), 200, "ok", ""},
		{"button with value", action(`{"type":"button","text":"t","name":"n","value":"v"}`), 200, "ok", ""},
		{"members that nobody knows", `{"text":"t","x":{"y":1}}`, 200, "ok", ""},

		{"empty", ``, 400, "invalid_payload", "not JSON"},
		{"not JSON", `{"text":`, 400, "invalid_payload", "not JSON"},
		{"array", `[]`, 400, "invalid_payload", "not a JSON object"},
		{"null", `null`, 400, "invalid_payload", "not a JSON object"},
		{"two objects", `{"text":"t"}{}`, 400, "invalid_payload", "something follows"},
		{"not UTF-8", "{\"text\":\"\xff\"}", 400, "invalid_payload", "not UTF-8"},
		{"text is a number", `{"text":5}`, 400, "invalid_payload", "text"},
		{"attachments are text", `{"attachments":"a"}`, 400, "invalid_payload", "attachments"},
		{"nothing in it", `{}`, 400, "no_text", "one of text, blocks and attachments"},
		{"empty text", `{"text":"","attachments":[]}`, 400, "no_text", "one of text, blocks and attachments"},
		{"too many attachments", attachments(101, `{"text":"t"}`), 400, "too_many_attachments", "101 attachments"},
		{"attachment without words", attachments(1, `{"title":"t"}`), 400, "missing_text_or_fallback_or_attachments", "attachment 1"},
		{"block without type", `{"blocks":[{}]}`, 400, "invalid_blocks", "block 1"},
		{"block is text", `{"blocks":["b"]}`, 400, "invalid_blocks", "block 1"},
		{"too many blocks", `{"blocks":[` + strings.Repeat(`{"type":"divider"},`, 50) + `{"type":"divider"}]}`, 400, "invalid_blocks", "51 blocks"},
		{"too many actions", action(strings.Repeat(`{"type":"button","text":"t","url":"https://e"},`, 5) + `{"type":"button","text":"t","url":"https://e"}`), 400, "invalid_payload", "6 actions"},
		{"action without type", action(`{"text":"t","url":"u"}`), 400, "invalid_payload", "action 1 has the type"},
		{"action without text", action(`{"type":"button","url":"u"}`), 400, "invalid_payload", "action 1 has no text"},
		{"action that does nothing", action(`{"type":"button","text":"t","name":"n"}`), 400, "invalid_payload", "neither a url nor a name"},
		{"action that leads nowhere", action(`{"type":"button","text":"t","url":"javascript:alert(1)"}`), 400, "invalid_payload", "no web address"},
		{"action that leads too far", action(`{"type":"button","text":"t","url":"https://example.com/` + strings.Repeat("x", 3000) + `"}`), 400, "invalid_payload", "at most 3000"},
		{"attachment with a wrong block", attachments(1, `{"blocks":[{"type":"section"}]}`), 400, "invalid_attachments", "block 1 (section) has no text"},
		{"too large", `{"text":"` + strings.Repeat("x", maxBody) + `"}`, 400, "invalid_payload", "too large"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := newInbox(t)
			code, got := post(t, in, hookPath, "application/json", test.body)
			if code != test.code || got != test.want {
				t.Errorf("answer = %d %q, want %d %q", code, got, test.code, test.want)
			}
			kept := in.Notifications()
			if len(kept) != 1 || kept[0].Accepted != (test.code == 200) || !strings.Contains(kept[0].Reason, test.why) {
				t.Errorf("kept %+v, want the reason %q", kept, test.why)
			}
		})
	}
}

// TestBlocks takes blocks at their limits and refuses them above.
func TestBlocks(t *testing.T) {
	long := func(n int) string { return strings.Repeat("ä", n) }
	repeat := func(n int, each string) string { return strings.TrimSuffix(strings.Repeat(each+",", n), ",") }
	tests := []struct {
		block string
		why   string // empty if Slack takes it
	}{
		{`{"type":"section","text":{"type":"mrkdwn","text":"` + long(3000) + `"}}`, ""},
		{`{"type":"section","text":{"type":"mrkdwn","text":"` + long(3001) + `"}}`, "3001 characters, at most 3000"},
		{`{"type":"section","text":{"type":"html","text":"t"}}`, `the type "html"`},
		{`{"type":"section","text":{"type":"mrkdwn","text":""}}`, "is empty"},
		{`{"type":"section","fields":[` + repeat(10, `{"type":"mrkdwn","text":"t"}`) + `]}`, ""},
		{`{"type":"section","fields":[` + repeat(11, `{"type":"mrkdwn","text":"t"}`) + `]}`, "11 fields, at most 10"},
		{`{"type":"section","fields":[{"type":"mrkdwn","text":"` + long(2001) + `"}]}`, "at most 2000"},
		{`{"type":"section"}`, "no text object"},
		{`{"type":"header","text":{"type":"plain_text","text":"` + long(150) + `"}}`, ""},
		{`{"type":"header","text":{"type":"plain_text","text":"` + long(151) + `"}}`, "at most 150"},
		{`{"type":"header","text":{"type":"mrkdwn","text":"t"}}`, `the type "mrkdwn"`},
		{`{"type":"context","elements":[` + repeat(10, `{"type":"mrkdwn","text":"t"}`) + `]}`, ""},
		{`{"type":"context","elements":[` + repeat(11, `{"type":"mrkdwn","text":"t"}`) + `]}`, "1 to 10"},
		{`{"type":"actions","elements":[` + repeat(25, `{"type":"button","text":{"type":"plain_text","text":"t"}}`) + `]}`, ""},
		{`{"type":"actions","elements":[` + repeat(26, `{"type":"button","text":{"type":"plain_text","text":"t"}}`) + `]}`, "1 to 25"},
		{`{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"` + long(76) + `"}}]}`, "at most 75"},
		{`{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"t"},"url":"https://e/` + strings.Repeat("x", 3000) + `"}]}`, "too long"},
		{`{"type":"actions","elements":[{}]}`, "without a type"},
		{`{"type":"image","image_url":"https://e/x.png","alt_text":"a"}`, ""},
		{`{"type":"image","image_url":"https://e/x.png"}`, "alt_text"},
		{`{"type":"markdown","text":"` + long(12000) + `"}`, ""},
		{`{"type":"markdown","text":"` + long(12001) + `"}`, "at most 12000"},
		{`{"type":"divider","block_id":"` + strings.Repeat("x", 256) + `"}`, "at most 255"},
		{`{"type":"unheard_of"}`, "does not know"},
	}
	for _, test := range tests {
		in := newInbox(t)
		code, got := post(t, in, hookPath, "application/json", `{"blocks":[`+test.block+`]}`)
		n := in.Notifications()[0]
		if test.why == "" && code != 200 || test.why != "" && (got != "invalid_blocks" || !strings.Contains(n.Reason, test.why)) {
			t.Errorf("%.100s is answered by %q for %q, want %q", test.block, got, n.Reason, test.why)
		}
	}
}

// TestWarnings takes what Slack takes, and says what nobody can have meant.
func TestWarnings(t *testing.T) {
	tests := []struct{ body, want string }{
		{`{"text":"a &lt;!here&gt; b <https://example.com|link>"}`, ""},
		{`{"text":"<!here> look"}`, "text notifies people by <!here>"},
		{`{"attachments":[{"text":"<!channel|x>"}]}`, "attachments[0].text notifies people by <!channel|x>"},
		{`{"attachments":[{"text":"t","title":"<@U024BE7LH>"}]}`, "attachments[0].title notifies people"},
		{`{"attachments":[{"text":"t","fields":[{"title":"a","value":"<!subteam^S1>"}]}]}`, "attachments[0].fields[0] notifies people"},
		{`{"text":"` + strings.Repeat("x", 40_001) + `"}`, "of which Slack shows 40000"},
		{`{"attachments":[` + strings.TrimSuffix(strings.Repeat(`{"text":"t"},`, 21), ",") + `]}`, "no more than 20"},
	}
	for _, test := range tests {
		n, err := check([]byte(test.body))
		if got := strings.Join(n.Warnings, "\n"); err != nil || !strings.Contains(got, test.want) || test.want == "" && got != "" {
			t.Errorf("%.80s: %v, warnings %q, want %q", test.body, err, got, test.want)
		}
	}
}

func TestAddress(t *testing.T) {
	tests := []struct {
		path string
		code int
		want string
	}{
		{hookPath, 200, "ok"},
		{"/services/T1/B2/c", 200, "ok"},
		{"/services/X1/B2/c", 404, "no_team"},
		{"/services/t1/B2/c", 404, "no_team"},
		{"/services/T1/X2/c", 404, "no_service"},
		{"/services/T1/B2/c-d", 403, "invalid_token"},
		{"/services/T1/B2/" + strings.Repeat("c", 65), 403, "invalid_token"},
	}
	for _, test := range tests {
		in := newInbox(t)
		if code, got := post(t, in, test.path, "application/json", `{"text":"t"}`); code != test.code || got != test.want {
			t.Errorf("%s is answered by %d %q, want %d %q", test.path, code, got, test.code, test.want)
		}
		if n := in.Notifications()[0]; n.Accepted != (test.code == 200) {
			t.Errorf("%s: kept %+v", test.path, n)
		}
	}
}

func TestContentType(t *testing.T) {
	form := "payload=" + url.QueryEscape(`{"text":"hello"}`)
	tests := []struct {
		contentType, body, want string
	}{
		{"application/json; charset=utf-8", `{"text":"hello"}`, "ok"},
		{"application/x-www-form-urlencoded", form, "ok"},
		{"application/x-www-form-urlencoded", `{"text":"hello"}`, "invalid_payload"},
		{"text/plain", `{"text":"hello"}`, "invalid_payload"},
		{"", `{"text":"hello"}`, "invalid_payload"},
	}
	for _, test := range tests {
		in := newInbox(t)
		if _, got := post(t, in, hookPath, test.contentType, test.body); got != test.want {
			t.Errorf("%q of type %q is answered by %q, want %q", test.body, test.contentType, got, test.want)
		}
		if n := in.Notifications()[0]; test.want == "ok" && n.Summary != "hello" {
			t.Errorf("kept %+v, want what was said", n)
		}
	}
}

// TestAlertmanager takes what a real Alertmanager 0.31.1 sent.
func TestAlertmanager(t *testing.T) {
	in := newInbox(t)
	for _, name := range []string{"alertmanager-firing.json", "alertmanager-resolved.json"} {
		body, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if code, got := post(t, in, hookPath, "application/json", string(body)); code != 200 {
			t.Fatalf("%s is answered by %d %s", name, code, got)
		}
	}
	type row struct {
		Event                         inbox.Event
		Alert, Severity, Key, Summary string
		Links                         int
	}
	var got []row
	for _, n := range in.Notifications() {
		got = append(got, row{n.Event, n.Alert, n.Severity, n.Key, n.Summary, len(n.Links)})
	}
	want := []row{
		{inbox.Resolve, "ActiveConnectionsSpiking", "", "#realtime Connections of feed doubled within 5 minutes", "Connections of feed doubled within 5 minutes", 3},
		{inbox.Trigger, "WebSocketLatencyHigh", "critical", "#realtime Messages of chat are handled slowly", "Messages of chat are handled slowly", 3},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTitles finds the state of an alert in the titles that are in use, and the same key before and after.
func TestTitles(t *testing.T) {
	tests := []struct {
		title, callback string
		event           inbox.Event
		severity, alert string
		key             string
	}{
		{"[FIRING:2] HighLatency (chat critical)", "", inbox.Trigger, "", "HighLatency", "HighLatency (chat critical)"},
		{"[RESOLVED] HighLatency (chat critical)", "", inbox.Resolve, "", "HighLatency", "HighLatency (chat critical)"},
		{"CRITICAL: Messages are slow", "", inbox.Trigger, "critical", "", "Messages are slow"},
		{"WARNING: A target is down (and 1,204 more)", "", inbox.Trigger, "warning", "", "A target is down"},
		{"RESOLVED: A target is down", "", inbox.Resolve, "", "", "A target is down"},
		{"RESOLVED: A target is down", "the key", inbox.Resolve, "", "", "the key"},
		{"CRITICAL: Messages are slow", "WebSocketLatencyHigh of demo/chat", inbox.Trigger, "critical", "WebSocketLatencyHigh", "WebSocketLatencyHigh of demo/chat"},
		{"Deployed", "", inbox.Message, "", "", ""},
		{"[not a state] Deployed", "", inbox.Message, "", "", ""},
	}
	for _, test := range tests {
		body := fmt.Sprintf(`{"attachments":[{"title":%q,"callback_id":%q,"fallback":"f"}]}`, test.title, test.callback)
		n, err := check([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if n.Event != test.event || n.Severity != test.severity || n.Alert != test.alert || n.Key != test.key {
			t.Errorf("%q: event %q severity %q alert %q key %q, want %+v", test.title, n.Event, n.Severity, n.Alert, n.Key, test)
		}
	}
}

func TestFields(t *testing.T) {
	n, err := check([]byte(`{"attachments":[{"title":"[FIRING:1] A","text":"t","fields":[{"title":"Severity","value":"Warning","short":true},{"title":"alertname","value":"B"}]}]}`))
	if err != nil || n.Severity != "warning" || n.Alert != "B" {
		t.Errorf("check = %+v, %v; want severity and alert of the fields", n, err)
	}
}

// FuzzHandler looks whether any body can be answered by a word that Slack does not know, or be accepted without a word
// in it.
func FuzzHandler(f *testing.F) {
	f.Add(`{"text":"t"}`)
	f.Add(`{"attachments":[{"title":"[FIRING:1] A (b)","text":"t","actions":[{"type":"button","text":"t","url":"https://x/runbooks/A.md"}],"fields":[{"title":"severity","value":"v"}]}]}`)
	f.Add(`{"blocks":[{"type":"section"}]}`)
	f.Add(`{"attachments":[{"fallback":"RESOLVED: x (and 2 more)"}]}`)
	words := []string{"ok", "invalid_payload", "no_text", "too_many_attachments", "missing_text_or_fallback_or_attachments", "invalid_blocks", "invalid_attachments"}
	f.Fuzz(func(t *testing.T, body string) {
		in := newInbox(t)
		code, got := post(t, in, hookPath, "application/json", body)
		known := false
		for _, w := range words {
			known = known || w == got
		}
		if !known || (code == 200) != (got == "ok") {
			t.Errorf("answer = %d %q", code, got)
		}
		m, _, err := parse([]byte(body))
		if (err == nil) != (code == 200) {
			t.Errorf("answer = %d %q, but parse says %v", code, got, err)
		}
		if err == nil && m.Text == "" && len(m.Blocks) == 0 && len(m.Attachments) == 0 {
			t.Error("accepted an empty message")
		}
	})
}
