// Package top shows the live connections of services in a terminal, like top shows processes. It reads the API of
// package console.
package top

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sockscope/sockscope/instrument/console"
)

// maxAnswer bounds the answer of an instance. 500 rows take about 300 KB.
const maxAnswer = 8 << 20

// Options say what to show.
type Options struct {
	// Consoles are the addresses of the live consoles, one for each instance, such as
	// http://127.0.0.1:8080/debug/realtime/.
	Consoles []string
	// Sort is the order of the table, and Limit its number of rows.
	Sort  console.Sort
	Limit int
	// Search is a part of the ids that are shown.
	Search string
	// Client asks. Its timeout bounds each request.
	Client *http.Client
}

// View is the state of all instances together at one moment.
type View struct {
	Time        time.Time      `json:"time"`
	Instances   []Instance     `json:"instances"`
	Open        int            `json:"open"`
	Connections []Row          `json:"connections"`
	Findings    []FoundAt      `json:"findings"`
	Now         console.Sample `json:"now"` // of all instances together, without quantiles
}

// Instance is an instance that was asked.
type Instance struct {
	Console string `json:"console"`
	Name    string `json:"name,omitempty"`
	Open    int    `json:"open"`
	Error   string `json:"error,omitempty"`
}

// Row is a connection and its instance.
type Row struct {
	Instance string `json:"instance"`
	console.Connection
}

// FoundAt is a finding and its instance.
type FoundAt struct {
	Instance string `json:"instance"`
	console.Finding
}

// answer is the answer of one instance.
type answer struct {
	connections console.Connections
	series      console.Series
	findings    console.Findings
	err         error
}

// Look asks all instances. It fails only if none of them answers.
func Look(ctx context.Context, o Options) (View, error) {
	answers := make([]answer, len(o.Consoles))
	var asking sync.WaitGroup
	for i, base := range o.Consoles {
		asking.Go(func() { answers[i] = o.ask(ctx, base) })
	}
	asking.Wait()
	view := View{Time: time.Now()}
	var failed []error
	for i, a := range answers {
		instance := Instance{Console: o.Consoles[i], Name: a.connections.Instance, Open: a.connections.Open}
		if a.err != nil {
			instance.Error = a.err.Error()
			failed = append(failed, a.err)
		}
		view.Instances = append(view.Instances, instance)
		view.Open += instance.Open
		for _, c := range a.connections.Connections {
			view.Connections = append(view.Connections, Row{instance.Name, c})
		}
		for _, f := range a.findings.Findings {
			view.Findings = append(view.Findings, FoundAt{instance.Name, f})
		}
		if n := len(a.series.Samples); n > 0 {
			add(&view.Now, a.series.Samples[n-1])
		}
	}
	if len(failed) == len(o.Consoles) {
		return view, errors.Join(failed...)
	}
	slices.SortStableFunc(view.Connections, func(a, b Row) int { return cmp.Compare(badness(b, o.Sort), badness(a, o.Sort)) })
	view.Connections = view.Connections[:min(len(view.Connections), o.Limit)]
	worstFirst(view.Findings)
	return view, nil
}

// Findings asks all instances what looks wrong, and returns the worst first. The error says which did not answer.
func Findings(ctx context.Context, o Options) ([]FoundAt, error) {
	answers := make([]console.Findings, len(o.Consoles))
	errs := make([]error, len(o.Consoles))
	var asking sync.WaitGroup
	for i, base := range o.Consoles {
		asking.Go(func() { errs[i] = o.get(ctx, base, "findings", nil, &answers[i]) })
	}
	asking.Wait()
	var all []FoundAt
	for _, a := range answers {
		for _, f := range a.Findings {
			all = append(all, FoundAt{a.Instance, f})
		}
	}
	worstFirst(all)
	return all, errors.Join(errs...)
}

func worstFirst(all []FoundAt) {
	slices.SortStableFunc(all, func(a, b FoundAt) int { return strings.Compare(b.Severity, a.Severity) }) // "warning" first
}

// Series asks all instances for their samples since a time. The error says which did not answer.
func Series(ctx context.Context, o Options, since time.Time) ([]console.Series, error) {
	all := make([]console.Series, len(o.Consoles))
	errs := make([]error, len(o.Consoles))
	var asking sync.WaitGroup
	for i, base := range o.Consoles {
		asking.Go(func() {
			errs[i] = o.get(ctx, base, "series", url.Values{"since": {since.UTC().Format(time.RFC3339Nano)}}, &all[i])
		})
	}
	asking.Wait()
	return all, errors.Join(errs...)
}

// Stories asks all instances for their stories of one connection. An instance that does not know it has no story. The
// error says which instances did not answer.
func Stories(ctx context.Context, o Options, id string) ([]console.Story, error) {
	stories := make([]*console.Story, len(o.Consoles))
	errs := make([]error, len(o.Consoles))
	var asking sync.WaitGroup
	for i, base := range o.Consoles {
		asking.Go(func() {
			var story console.Story
			switch err := o.get(ctx, base, "connections/"+url.PathEscape(id), nil, &story); {
			case err == nil:
				stories[i] = &story
			case !errors.Is(err, errNotThere):
				errs[i] = err
			}
		})
	}
	asking.Wait()
	var known []console.Story
	for _, story := range stories {
		if story != nil {
			known = append(known, *story)
		}
	}
	return known, errors.Join(errs...)
}

// add adds what an instance counted.
func add(sum *console.Sample, s console.Sample) {
	sum.Goroutines += s.Goroutines
	sum.HeapBytes += s.HeapBytes
	sum.Endpoints = append(sum.Endpoints, s.Endpoints...)
	sum.Seconds = max(sum.Seconds, s.Seconds)
}

// badness returns how far up a row belongs. The consoles sort in the same way.
func badness(r Row, by console.Sort) float64 {
	last := func(since *float64) float64 {
		if since == nil {
			return r.Age
		}
		return *since
	}
	rate := func(v *float64) float64 {
		if v == nil {
			return 0
		}
		return *v
	}
	switch by {
	case console.SortSilent:
		return min(last(r.SinceReceived), last(r.SinceSent))
	case console.SortRTT:
		return max(r.RTT, r.Unanswered)
	case console.SortBusy:
		return rate(r.ReceivedPerSecond) + rate(r.SentPerSecond)
	case console.SortNewest:
		return -r.Age
	default:
		return r.QueueOldest
	}
}

func (o Options) ask(ctx context.Context, base string) (a answer) {
	query := url.Values{"sort": {string(o.Sort)}, "limit": {strconv.Itoa(o.Limit)}, "q": {o.Search}}
	a.err = o.get(ctx, base, "connections", query, &a.connections)
	if a.err == nil {
		since := time.Now().Add(-5 * time.Second).UTC().Format(time.RFC3339Nano)
		a.err = o.get(ctx, base, "series", url.Values{"since": {since}}, &a.series)
	}
	if a.err == nil {
		a.err = o.get(ctx, base, "findings", nil, &a.findings)
	}
	return a
}

// errNotThere is the error of get for an answer with 404.
var errNotThere = errors.New("has no live console")

func (o Options) get(ctx context.Context, base, resource string, query url.Values, into any) error {
	address, err := url.Parse(base)
	if err != nil || address.Host == "" {
		return fmt.Errorf("%q is no address of a live console: give one as in http://127.0.0.1:8080/debug/realtime/", base)
	}
	address = address.JoinPath("api", "v1", resource)
	address.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", base, err)
	}
	response, err := o.Client.Do(request)
	if err != nil {
		return err // names the address
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read from %s: %w", base, err)
	}
	switch {
	case response.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s %w: give the address at which it is mounted", base, errNotThere)
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("%s answers %s: %s", base, response.Status, firstLine(body))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s is not a live console: %w", base, err)
	}
	return nil
}

func firstLine(text []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return line[:min(len(line), 200)]
}
