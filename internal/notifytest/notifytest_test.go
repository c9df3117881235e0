package notifytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// alertmanager answers as one does that has the receivers "ops", with two Slack channels, and does not tell receivers
// apart in its metrics.
type alertmanager struct {
	sends bool // whether notifications are sent

	mu       sync.Mutex
	requests int
	alerts   []map[string]any
}

func (a *alertmanager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch r.Method + " " + r.URL.Path {
	case "GET /api/v2/status":
		const settings = "receivers:\n- name: ops\n  slack_configs:\n  - {channel: a, send_resolved: true}\n  - {channel: b, send_resolved: true}\n"
		_ = json.NewEncoder(w).Encode(map[string]any{"config": map[string]string{"original": settings}})
	case "POST /api/v2/alerts":
		var alerts []map[string]any
		if err := json.NewDecoder(r.Body).Decode(&alerts); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		a.alerts = append(a.alerts, alerts...)
		if a.sends {
			a.requests += 2
		}
	case "GET /api/v2/alerts":
		fmt.Fprint(w, `[{"receivers":[{"name":"ops"}],"status":{}}]`)
	case "GET /metrics":
		fmt.Fprintf(w, "# TYPE alertmanager_notification_requests_total counter\nalertmanager_notification_requests_total{integration=\"slack\"} %d\n", a.requests)
		fmt.Fprint(w, "# TYPE alertmanager_notification_requests_failed_total counter\nalertmanager_notification_requests_failed_total{integration=\"slack\"} 0\n")
	default:
		http.NotFound(w, r)
	}
}

func TestRun(t *testing.T) {
	for name, test := range map[string]struct {
		sends   bool
		timeout time.Duration
		want    []string
		fails   bool
	}{
		"metrics without receivers": {true, 20 * time.Second, []string{"ops slack trigger true", "ops slack resolve true"}, false},
		"nothing is sent":           {false, time.Second, []string{"ops slack trigger false"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &alertmanager{sends: test.sends}
			server := httptest.NewServer(fake)
			defer server.Close()
			var got []string
			err := Run(t.Context(), Config{Alertmanager: server.URL, Severity: "critical", Timeout: test.timeout}, func(r Result) {
				got = append(got, fmt.Sprint(r.Receiver, " ", r.Channel, " ", r.Event, " ", r.OK))
			})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			if errors.Is(err, ErrFailed) != test.fails || !test.fails && err != nil {
				t.Errorf("the error is %v", err)
			}
			if len(fake.alerts) != 2 || !cmp.Equal(fake.alerts[0]["labels"], fake.alerts[1]["labels"]) {
				t.Fatalf("the alerts are %v, want one and its end", fake.alerts)
			}
			if end, err := time.Parse(time.RFC3339Nano, fake.alerts[1]["endsAt"].(string)); err != nil || end.After(time.Now()) {
				t.Errorf("the alert ends at %v, %v", end, err)
			}
		})
	}
}

// TestInterruptedRunEndsItsAlert stops in the middle.
func TestInterruptedRunEndsItsAlert(t *testing.T) {
	fake := &alertmanager{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fake.ServeHTTP(w, r)
		if r.Method == http.MethodGet && r.URL.Path == "/api/v2/alerts" {
			cancel()
		}
	}))
	defer server.Close()
	err := Run(ctx, Config{Alertmanager: server.URL, Severity: "critical", Timeout: time.Minute}, func(Result) {})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if len(fake.alerts) != 2 {
		t.Errorf("the alerts are %v, want one and its end", fake.alerts)
	}
}

func TestAway(t *testing.T) {
	away := httptest.NewServer(nil)
	away.Close()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }))
	defer other.Close()
	for url, want := range map[string]string{
		away.URL:         "no answer from Alertmanager (give its address by --alertmanager)",
		other.URL:        "is no Alertmanager",
		"127.0.0.1:9093": "write it like http://127.0.0.1:9093",
	} {
		err := Run(t.Context(), Config{Alertmanager: url, Severity: "critical", Timeout: time.Second}, func(r Result) { t.Errorf("result %+v", r) })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error of %s is %v, want %q", url, err, want)
		}
	}
	if err := Run(t.Context(), Config{Alertmanager: away.URL}, nil); err == nil || !strings.Contains(err.Error(), "--timeout") {
		t.Errorf("the error without a timeout is %v", err)
	}
}

// TestWords reads what a log says of this test and no other.
func TestWords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write := func(text string) {
		t.Helper()
		file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write(`level=ERROR msg="Notify for alerts failed" err="slack/slack[0]: notify retry canceled after 1 attempts: of before"` + "\n")
	log := openLog(path, "test-1")
	if got := log.words(way{receiver: "slack", channel: "slack"}); got != "" {
		t.Errorf("words = %q before the test", got)
	}
	write(`level=WARN msg="Notify attempt failed, will retry later" integration=slack[0] aggrGroup="{namespace=\"test-2\"}" attempts=1 err="of another"` + "\n" +
		`level=WARN msg="Notify attempt failed, will retry later" integration=slack[0] aggrGroup="{namespace=\"test-1\"}" attempts=1 err="said \"no\""` + "\n" +
		`level=INFO msg=fine` + "\n" + `err="cut off`)
	if got := log.words(way{receiver: "ops", channel: "slack"}); got != `said "no"` {
		t.Errorf("words = %q", got)
	}
	write("\"\n" + `level=ERROR err="ops/slack[0]: notify retry canceled due to unrecoverable error after 1 attempts: channel \"#a\": 404"` + "\n")
	if got := log.words(way{receiver: "ops", channel: "slack"}); got != `channel "#a": 404` {
		t.Errorf("words = %q", got)
	}
	if got := openLog(filepath.Join(t.TempDir(), "none"), "x").words(way{}); got != "" {
		t.Errorf("words = %q of no log", got)
	}
}

func TestExplain(t *testing.T) {
	for _, test := range []struct {
		channel, reason, words string
		detail, advice         string
	}{
		{"pagerduty", "clientError", "unexpected status code 400: Event object is invalid", "refuses", "routing key is wrong"},
		{"pagerduty", "clientError", "", "refuses", "routing key is wrong"},
		{"pagerduty", "retrying", "unexpected status code 429", "again and again", "Wait a minute"},
		{"slack", "clientError", "unexpected status code 403: invalid_token", "refuses", "slack_api_url"},
		{"slack", "clientError", "unexpected status code 410: channel_is_archived", "refuses", "channel of the webhook is gone"},
		{"slack", "clientError", "unexpected status code 400: invalid_payload", "refuses", "does not take the message"},
		{"webhook", "clientError", "unexpected status code 401", "refuses", "address and the key"},
		{"email", "other", "dial tcp: lookup smtp: no such host", "could not be sent", "does not reach it"},
		{"slack", "serverError", "", "fails", "status page"},
		{"slack", "other", "", "could not be sent", "log says more"},
		{"slack", "timeout", "", "nothing was sent within 1m0s", "--timeout"},
	} {
		detail, _, advice := failure{test.reason, test.words}.explain(test.channel, "trigger", Config{Timeout: time.Minute})
		if !strings.Contains(detail, test.detail) || !strings.Contains(advice, test.advice) {
			t.Errorf("%+v: %q %q", test, detail, advice)
		}
	}
}
