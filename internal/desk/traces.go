package desk

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/sockscope/sockscope/internal/desk/tracing"
)

// tracesData is what the page shows on which one looks for traces.
type tracesData struct {
	tracing.Result
	Form    tracesForm
	Ranges  []timeRange
	Known   []string // attributes of the contract
	Aside   bool     // ticks are left out
	Awaited string   // why there is no answer yet
	Problem string
}

// tracesForm is what the reader asks for.
type tracesForm struct {
	Service, Operation string
	Shortest, Longest  string // texts of durations
	Failed             bool
	Attributes         pairs
	period
	Ticks bool
}

func newTracesForm(query url.Values) tracesForm {
	text := func(name string) string { return formText(query.Get(name)) }
	return tracesForm{
		Service: text("service"), Operation: text("operation"), Shortest: text("min"), Longest: text("max"),
		Failed: query.Get("failed") != "", Attributes: newPairs(query["attribute"]), period: newPeriod(query), Ticks: query.Get("ticks") != "",
	}
}

// path is the address that asks for the form's traces.
func (f tracesForm) path() string {
	query := url.Values{}
	set(query, map[string]string{"service": f.Service, "operation": f.Operation, "min": f.Shortest, "max": f.Longest})
	f.set(query)
	if len(f.Attributes) > 0 {
		query["attribute"] = f.Attributes
	}
	for name, on := range map[string]bool{"failed": f.Failed, "ticks": f.Ticks} {
		if on {
			query.Set(name, "on")
		}
	}
	return "/trace?" + query.Encode()
}

// WithTicks is the address of the same traces and ticks.
func (f tracesForm) WithTicks() string {
	f.Ticks = true
	return f.path()
}

// WithoutTicks is the address of the same traces without ticks.
func (f tracesForm) WithoutTicks() string {
	f.Ticks = false
	return f.path()
}

// Further is where there may be more for a question that was cut off: what it was about alone, or if that is all that
// was asked for, what was before.
func (f tracesForm) Further(c tracing.Cut) string {
	if f.Service == c.Service && f.Operation == c.Operation {
		f.To = machine(c.Oldest)
	}
	f.Service, f.Operation = c.Service, c.Operation
	return f.path()
}

// IsOlder tells whether Further leads to what was before.
func (f tracesForm) IsOlder(c tracing.Cut) bool {
	return f.Service == c.Service && f.Operation == c.Operation
}

// search is what Jaeger is asked for.
func (f tracesForm) search(now time.Time) (s tracing.Search, err error) {
	s = tracing.Search{Service: f.Service, Operation: f.Operation, Failed: f.Failed, Ticks: f.Ticks}
	attributes, err := f.Attributes.parse()
	if err != nil {
		return s, err
	}
	for _, p := range attributes {
		s.Attributes = append(s.Attributes, tracing.Attribute(p))
	}
	if s.Shortest, err = parseDuration(f.Shortest); err != nil {
		return s, err
	}
	if s.Longest, err = parseDuration(f.Longest); err != nil {
		return s, err
	}
	if s.Longest > 0 && s.Longest < s.Shortest {
		return s, errors.New("the longest duration is shorter than the shortest")
	}
	s.Start, s.End, err = f.bounds(now)
	return s, err
}

// parseDuration reads a duration that a person wrote, 0 if there is none.
func parseDuration(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration: write it as in 100ms or 1.5s", text)
	}
	return d, nil
}

func (d *Desk) tracesPage(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if wanted := query.Get("id"); wanted != "" {
		id, err := tracing.ParseID(wanted)
		if err != nil {
			d.malformed(w, err)
			return
		}
		http.Redirect(w, r, "/trace/"+id, http.StatusSeeOther)
		return
	}
	data := tracesData{Form: newTracesForm(query), Ranges: timeRanges(), Known: d.known.attributes}
	p := page{Title: "Traces", Section: "trace"}
	s, err := data.Form.search(time.Now())
	code := http.StatusOK
	switch {
	case err != nil:
		code, data.Problem = http.StatusBadRequest, err.Error()
	default:
		if data.Awaited = d.awaited("jaeger"); data.Awaited != "" {
			p.Refresh = 3
			break
		}
		data.Aside = s.WithoutTicks()
		if data.Result, err = d.finder.Search(r.Context(), s); err != nil {
			data.Problem = err.Error()
		}
	}
	p.Data = data
	d.show(w, code, "traces", p)
}

// Offered are the services to choose from. The chosen one is among them, even if Jaeger does not know it.
func (d tracesData) Offered() []tracing.Service {
	f := d.Form
	list := slices.Clone(d.Services)
	if f.Service != "" && !slices.ContainsFunc(list, func(s tracing.Service) bool { return s.Name == f.Service }) {
		list = append(list, tracing.Service{Name: f.Service})
	}
	if f.Operation != "" && !slices.ContainsFunc(list, func(s tracing.Service) bool { return slices.Contains(s.Operations, f.Operation) }) {
		list = append(list, tracing.Service{Operations: []string{f.Operation}})
	}
	return list
}
