// Package metrics asks Prometheus, for the desk's pages of metrics and dashboards.
package metrics

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	askTimeout = 5 * time.Second
	maxAnswer  = 16 << 20
	maxRows    = 100
	maxAsking  = 8 // queries that are under way at once
	// MaxQuery is the longest query that is asked, in bytes.
	MaxQuery = 4 << 10
)

// Question is a query, and what it tells.
type Question struct {
	Title string
	Query string
}

// Overview are the questions with which to begin, about one job and namespace, or about all where they are empty.
func Overview(job, namespace string) []Question {
	var matchers []string
	if job != "" {
		matchers = append(matchers, "job="+strconv.Quote(job))
	}
	ofJob := "{" + strings.Join(matchers, ", ") + "}"
	if namespace != "" {
		matchers = append(matchers, "namespace="+strconv.Quote(namespace))
	}
	of := "{" + strings.Join(matchers, ", ") + "}"
	return []Question{
		{"Alerts", `sum by (alertname, alertstate, job, namespace) (ALERTS` + of + `)`},
		{"Open connections", `sum by (job, namespace) (websocket_active_connections` + of + `)`},
		{"Messages per second", `sum by (job, namespace, direction) (rate(websocket_messages_total` + of + `[5m]))`},
		{"Time to handle a message, 99th percentile, in seconds", `(histogram_quantile(0.99, sum by (job, namespace) (rate(websocket_message_duration_seconds` + of + `[5m])))` +
			` or histogram_quantile(0.99, sum by (job, namespace, le) (rate(websocket_message_duration_seconds_bucket` + of + `[5m])))) >= 0`},
		{"Connections that ended within ten minutes", `sum by (job, namespace, initiator, reason) (increase(websocket_disconnections_total` + of + `[10m])) > 0`},
		{"Errors within ten minutes", `sum by (job, namespace, kind) (increase(websocket_errors_total` + of + `[10m])) > 0`},
		{"Share of probes that succeeded within five minutes", `avg by (job, target) (avg_over_time(websocket_probe_success[5m]))`},
		{"Scraped: 1 is yes", `up` + ofJob},
	}
}

// Answer is the answer to a question.
type Answer struct {
	Question
	Labels  []string // the columns before the value
	Rows    []Row
	More    int    // rows that are left out
	Problem string // why there is no answer
}

// Row is one series with its value.
type Row struct {
	Labels []string // the values of Answer.Labels
	Value  string

	number float64
}

// Asker asks Prometheus. It is safe for concurrent use.
type Asker struct {
	url    string
	client *http.Client
	asking chan struct{}
}

// NewAsker returns an asker of the Prometheus at an address, which is empty if there is none.
func NewAsker(address string, transport http.RoundTripper) *Asker {
	return &Asker{
		url:    strings.TrimRight(address, "/"),
		client: &http.Client{Transport: transport, Timeout: askTimeout},
		asking: make(chan struct{}, maxAsking),
	}
}

// Ask answers all questions, in their order.
func (a *Asker) Ask(ctx context.Context, questions []Question) []Answer {
	ctx, cancel := context.WithTimeout(ctx, 2*askTimeout)
	defer cancel()
	answers := make([]Answer, len(questions))
	var wg sync.WaitGroup
	for i, q := range questions {
		wg.Go(func() {
			answers[i] = Answer{Question: q}
			if err := a.ask(ctx, &answers[i]); err != nil {
				answers[i].Problem = err.Error()
			}
		})
	}
	wg.Wait()
	return answers
}

func (a *Asker) ask(ctx context.Context, answer *Answer) error {
	series, _, err := a.Instant(ctx, answer.Query, time.Time{}, 0)
	if err != nil {
		return err
	}
	answer.read(series)
	return nil
}

// read turns series into rows.
func (a *Answer) read(list []Series) {
	names := make(map[string]bool)
	for _, s := range list {
		for name := range s.Labels {
			names[name] = true
		}
	}
	a.Labels = slices.Sorted(maps.Keys(names))
	for _, s := range list {
		row := newRow(s)
		for _, name := range a.Labels {
			row.Labels = append(row.Labels, s.Labels[name])
		}
		a.Rows = append(a.Rows, row)
	}
	slices.SortStableFunc(a.Rows, func(x, y Row) int {
		return cmp.Or(cmp.Compare(y.number, x.number), slices.Compare(x.Labels, y.Labels))
	})
	if more := len(a.Rows) - maxRows; more > 0 {
		a.Rows, a.More = a.Rows[:maxRows], more
	}
}

func newRow(s Series) Row {
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
	switch {
	case len(s.Points) > 0:
		v := s.Points[0].Value
		return Row{Value: number(v), number: v}
	case len(s.Histograms) > 0:
		h := s.Histograms[0]
		return Row{Value: "histogram of " + number(h.Count) + ", sum " + number(h.Sum)}
	}
	return Row{Value: "unknown"}
}

// explain leaves of an error what a person needs to know.
func explain(err error) error {
	var timeout net.Error
	if errors.Is(err, syscall.ECONNREFUSED) {
		return errors.New("connection refused: it is not running")
	}
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("no answer within %s", askTimeout)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err // without the URL, which is long
	}
	return err
}
