package alertmanager_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/internal/notifytest"
)

// TestNotifyTest sends a test notification by the shipped routes, also when those who are to be told refuse it.
func TestNotifyTest(t *testing.T) {
	type outcome struct {
		Channel, Event string
		OK             bool
	}
	told := func(channel string) []outcome {
		return []outcome{{channel, "trigger", true}, {channel, "resolve", true}}
	}
	tests := []struct {
		name     string
		severity string
		damage   func(*testing.T, *routing)
		want     []outcome
		said     string // of the failure: its cause and the advice
	}{
		{"everybody is reached", "critical", nil, slices.Concat(told("pagerduty"), told("slack")), ""},
		{"a warning", "warning", nil, told("slack"), ""},
		{"nobody is to be told", "info", nil, nil, "the receiver dashboards, which tells nobody"},
		{"wrong routing key", "critical", func(t *testing.T, r *routing) {
			r.secret(t, "pagerduty_routing_key", strings.Repeat("-", 32))
		}, append([]outcome{{"pagerduty", "trigger", false}}, told("slack")...), "'routing_key' is incorrect; The routing key is wrong"},
		{"Slack's webhook is gone", "critical", func(t *testing.T, r *routing) {
			r.secret(t, "slack_api_url", r.desk+"/services/T1/gone/x")
		}, append(told("pagerduty"), outcome{"slack", "trigger", false}), "no_service; The webhook does not exist"},
		{"a secret is missing", "warning", func(t *testing.T, r *routing) {
			if err := os.Remove(filepath.Join(r.settings, "secrets", "slack_api_url")); err != nil {
				t.Fatal(err)
			}
		}, []outcome{{"slack", "trigger", false}}, "no such file or directory; The file with the secret is missing"},
		{"Slack is not there", "warning", func(t *testing.T, r *routing) {
			r.secret(t, "slack_api_url", "http://"+freeAddress(t)+"/services/T1/B1/x")
		}, []outcome{{"slack", "trigger", false}}, "connection refused; Alertmanager does not reach it"},
		{"Slack is asked too much", "warning", func(t *testing.T, r *routing) { r.outage(t, "slack", http.StatusTooManyRequests) },
			[]outcome{{"slack", "trigger", false}}, "rate_limited; It is asked too much"},
		{"PagerDuty fails", "critical", func(t *testing.T, r *routing) { r.outage(t, "pagerduty", http.StatusInternalServerError) },
			append([]outcome{{"pagerduty", "trigger", false}}, told("slack")...), "status code 500; It is out of order"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, unchanged)
			if test.damage != nil {
				test.damage(t, r)
			}
			var got []outcome
			var said string
			err := notifytest.Run(t.Context(), notifytest.Config{
				Alertmanager: "http://" + r.address, Severity: test.severity, Log: r.log, Timeout: timeout,
			}, func(result notifytest.Result) {
				got = append(got, outcome{result.Channel, result.Event, result.OK})
				if !result.OK {
					said = result.Cause + "; " + result.Advice
				}
			})
			if said == "" && err != nil {
				said = err.Error()
			}
			slices.SortStableFunc(got, func(a, b outcome) int { return strings.Compare(a.Channel, b.Channel) })
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			if (err == nil) != (test.said == "") || err != nil && !errors.Is(err, notifytest.ErrFailed) {
				t.Errorf("the error is %v", err)
			}
			if test.said == "" {
				if said != "" {
					t.Errorf("it said %q", said)
				}
			} else if before, after, _ := strings.Cut(test.said, "; "); !strings.Contains(said, before) || !strings.Contains(said, after) {
				t.Errorf("it said %q, want %q", said, test.said)
			}
			var left []struct {
				EndsAt time.Time `json:"endsAt"`
			}
			get(t, "http://"+r.address+"/api/v2/alerts", &left)
			for _, a := range left {
				if a.EndsAt.After(time.Now()) {
					t.Errorf("an alert fires until %v", a.EndsAt)
				}
			}
		})
	}
}

// TestNotifyTestIsSilenced silences everything and sees it said.
func TestNotifyTestIsSilenced(t *testing.T) {
	r := start(t, unchanged)
	body := `{"matchers":[{"name":"alertname","value":".+","isRegex":true}],"createdBy":"me","comment":"c","startsAt":"` +
		time.Now().Add(-time.Minute).UTC().Format(time.RFC3339) + `","endsAt":"` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"}`
	response, err := http.Post("http://"+r.address+"/api/v2/silences", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	err = notifytest.Run(t.Context(), notifytest.Config{Alertmanager: "http://" + r.address, Severity: "critical", Timeout: timeout}, func(r notifytest.Result) {
		t.Errorf("result %+v", r)
	})
	if !errors.Is(err, notifytest.ErrFailed) || !strings.Contains(err.Error(), "silenced by ") {
		t.Errorf("the error is %v, want that it is silenced", err)
	}
}
