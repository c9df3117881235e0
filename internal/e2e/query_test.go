//go:build e2e && unix

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sockscope/sockscope/internal/logstore"
)

// fetch gets a JSON document.
func fetch(address string, into any) error {
	client := http.Client{Timeout: 20 * time.Second}
	resp, err := client.Get(address)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %s", address, resp.Status, body)
	}
	return json.Unmarshal(body, into)
}

// eventually tries until it succeeds or the time is up.
func eventually(t *testing.T, what string, limit time.Duration, try func() error) {
	t.Helper()
	began := time.Now()
	var err error
	for time.Since(began) < limit {
		if err = try(); err == nil {
			t.Logf("%s: after %.1f s", what, time.Since(began).Seconds())
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(500 * time.Millisecond):
		}
	}
	t.Fatalf("%s: not within %s: %v", what, limit, err)
}

// vector is the answer of Prometheus to an instant query.
type vector struct {
	Data struct {
		ResultType string `json:"resultType"`
		Result     []struct {
			Metric map[string]string `json:"metric"`
			Value  [2]any            `json:"value"`
		} `json:"result"`
	} `json:"data"`
}

func (v vector) sum() (float64, error) {
	total := 0.0
	for _, series := range v.Data.Result {
		text, ok := series.Value[1].(string)
		if !ok {
			return 0, fmt.Errorf("no number in %v", series)
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0, err
		}
		total += value
	}
	return total, nil
}

// metric returns the sum of a PromQL query's result.
func (s *stack) metric(query string) (float64, error) {
	var v vector
	if err := fetch("http://"+s.at.Prometheus+"/api/v1/query?query="+url.QueryEscape(query), &v); err != nil {
		return 0, err
	}
	if len(v.Data.Result) == 0 {
		return 0, fmt.Errorf("no result for %s", query)
	}
	return v.sum()
}

// demoMetric returns the sum of a metric's series, which the demo itself shows.
func (s *stack) demoMetric(name, label string) (float64, error) {
	resp, err := http.Get("http://" + s.at.Demo + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	total := 0.0
	scanner := bufio.NewScanner(resp.Body)
	for scanner.Scan() {
		if line := scanner.Text(); isOf(line, name) && strings.Contains(line, label) {
			value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			if err != nil {
				return 0, err
			}
			total += value
		}
	}
	return total, scanner.Err()
}

// isOf tells whether a line of the text format is a sample of the metric.
func isOf(line, metric string) bool {
	rest, ok := strings.CutPrefix(line, metric)
	return ok && (rest[0] == '{' || rest[0] == ' ')
}

// traces returns how many traces of handled messages Jaeger has since then.
func (s *stack) traces(since time.Time) (float64, error) {
	query := url.Values{
		"service":   {"sockscope-demo"},
		"operation": {"websocket.message message"},
		"start":     {strconv.FormatInt(since.UnixMicro(), 10)},
		"end":       {strconv.FormatInt(time.Now().UnixMicro(), 10)},
		"limit":     {"10000"},
	}
	var answer struct {
		Data []struct {
			TraceID string `json:"traceID"`
		} `json:"data"`
	}
	err := fetch("http://"+s.at.JaegerQuery+"/api/traces?"+query.Encode(), &answer)
	return float64(len(answer.Data)), err
}

// logs is the stack's log store.
func (s *stack) logs() logstore.Store {
	return logstore.VictoriaLogs("http://"+s.at.VictoriaLogs, http.DefaultTransport)
}

// records returns how many different log records of the demo there are since then: delivery is at least once.
func (s *stack) records(ctx context.Context, since time.Time) (float64, error) {
	q := logstore.Query{Service: "sockscope-demo", Start: since, End: time.Now().Add(time.Minute), Limit: 5000}
	records, err := s.logs().Records(ctx, q)
	if err != nil {
		return 0, err
	}
	if len(records) == q.Limit {
		return 0, fmt.Errorf("%d log records are too many to count", len(records))
	}
	different := make(map[string]bool)
	for _, record := range records {
		different[fmt.Sprint(record)] = true
	}
	return float64(len(different)), nil
}

// notification is an entry of the desk's inbox.
type notification struct {
	Source   string    `json:"source"`
	Received time.Time `json:"received"`
	Accepted bool      `json:"accepted"`
	Reason   string    `json:"reason"`
	Event    string    `json:"event"`
	Alert    string    `json:"alert"`
	Severity string    `json:"severity"`
	Key      string    `json:"key"`
	Firing   []subject `json:"firing"`
	Resolved []subject `json:"resolved"`
}

// subject names an alert that a notification is about.
type subject struct {
	Alert string `json:"alert"`
}

func (s *stack) inbox() ([]notification, error) {
	var box struct {
		Notifications []notification `json:"notifications"`
	}
	err := fetch("http://"+s.at.Desk+"/api/inbox", &box)
	return box.Notifications, err
}

// paged returns an error unless a pager was told of an alert, that it is there or that it is not any more, since then.
func (s *stack) paged(event, alert string, since time.Time) error {
	list, err := s.inbox()
	if err != nil {
		return err
	}
	for _, n := range list {
		// One incident covers all alerts about a service.
		named := n.Firing
		if event == "resolve" {
			named = n.Resolved
		}
		is := func(s subject) bool { return s.Alert == alert }
		if n.Source == "pagerduty" && n.Accepted && slices.ContainsFunc(named, is) && n.Received.After(since) {
			return nil
		}
	}
	return fmt.Errorf("no %s of %s among %d notifications", event, alert, len(list))
}

// fault switches a fault of the demo.
func (s *stack) fault(t *testing.T, method, name, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.at.Demo+"/fault/"+name, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode/100 != 2 {
		t.Fatalf("%s fault %s: %s: %s", method, name, resp.Status, answer)
	}
}
