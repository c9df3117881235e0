package tracing

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sockscope/sockscope/internal/backend"
	"github.com/sockscope/sockscope/internal/logstore"
)

const (
	findTimeout = 10 * time.Second
	maxLinked   = 8  // linked traces that are fetched
	maxInline   = 40 // spans that a linked trace may have to be shown in full
	maxRecords  = 200
	// aroundSpans is how far from the spans their records may lie: clocks of several machines, and what is logged after
	// the last span has ended.
	aroundSpans = time.Minute
	// recently is where records are looked for when there are no spans.
	recently = 6 * time.Hour
	session  = "connection.id"
)

// Finder asks Jaeger and the log store.
type Finder struct {
	jaeger *backend.Backend
	logs   logstore.Store
}

// NewFinder returns a finder for the Jaeger at an address, which is empty if there is none, and a log store, which is
// nil if there is none.
func NewFinder(jaegerURL string, logs logstore.Store, transport http.RoundTripper) *Finder {
	return &Finder{backend.New("Jaeger", jaegerURL, transport), logs}
}

// Linked is a trace that one of the shown spans links to.
type Linked struct {
	Trace
	From    []string `json:"from"`              // the spans that link to it
	Problem string   `json:"problem,omitempty"` // why its spans are missing
}

// View is everything that was found about a trace.
type View struct {
	Trace
	Records      []logstore.Record `json:"records"`
	Linked       []Linked          `json:"linked"`                 // traces that it links to
	Linking      []Found           `json:"linking"`                // traces that link to it
	Session      []Found           `json:"session"`                // other traces of the same connection
	Unknown      bool              `json:"unknown"`                // Jaeger answered and has no spans of it
	SpansProblem string            `json:"spansProblem,omitempty"` // why spans are missing
	LogsProblem  string            `json:"logsProblem,omitempty"`  // why log records are missing
}

// Find looks for a trace by its canonical id. It always returns what it has found. The view says what is missing.
func (f *Finder) Find(ctx context.Context, id string) View {
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	trace, err := f.trace(ctx, id)
	view := View{Trace: trace}
	view.ID = id
	if view.Spans == nil {
		view.Spans = []Span{}
	}
	if errors.Is(err, backend.ErrNotFound) {
		view.Unknown = true
	} else if err != nil {
		view.SpansProblem = err.Error()
	}
	var wg sync.WaitGroup
	wg.Go(func() { f.addRecords(ctx, &view, trace) })
	wg.Go(func() { view.Linked = f.linked(ctx, trace) })
	wg.Go(func() { view.Linking, view.Session = f.sameSession(ctx, trace) })
	wg.Wait()
	view.markMissing()
	view.Session = slices.DeleteFunc(view.Session, func(found Found) bool {
		return slices.ContainsFunc(view.Linked, func(l Linked) bool { return l.ID == found.TraceID })
	})
	return view
}

// markMissing marks the links that lead to no trace, or to one that was not looked for because only a linked trace
// links to it.
func (v *View) markMissing() {
	found := map[string]bool{v.ID: true} // or not
	for _, l := range v.Linked {
		found[l.ID] = l.Problem == ""
	}
	for _, span := range v.Spans {
		for i, link := range span.Links {
			there, looked := found[link.TraceID]
			span.Links[i].Missing = looked && !there
		}
	}
	for _, l := range v.Linked {
		for _, span := range l.Spans {
			for i, link := range span.Links {
				span.Links[i].Missing = !found[link.TraceID]
			}
		}
	}
}

func (f *Finder) addRecords(ctx context.Context, view *View, trace Trace) {
	view.Records = []logstore.Record{}
	if f.logs == nil {
		view.LogsProblem = "no address of a log store is set"
		return
	}
	start, end := trace.Range()
	start, end = start.Add(-aroundSpans), end.Add(aroundSpans)
	if len(trace.Spans) == 0 {
		end = time.Now()
		start = end.Add(-recently)
	}
	records, err := f.logs.Records(ctx, logstore.Query{TraceID: view.ID, Start: start, End: end, Limit: maxRecords})
	if err != nil {
		view.LogsProblem = err.Error()
		return
	}
	view.Records = records
}

// linked fetches the traces that the spans link to, the first few of them.
func (f *Finder) linked(ctx context.Context, trace Trace) []Linked {
	list := []Linked{}
	for _, span := range trace.Spans {
		for _, link := range span.Links {
			if link.TraceID == trace.ID {
				continue
			}
			i := slices.IndexFunc(list, func(l Linked) bool { return l.ID == link.TraceID })
			if i < 0 {
				i = len(list)
				list = append(list, Linked{Trace: Trace{ID: link.TraceID}})
			}
			if !slices.Contains(list[i].From, span.Name) {
				list[i].From = append(list[i].From, span.Name)
			}
		}
	}
	list = list[:min(len(list), maxLinked)]
	var wg sync.WaitGroup
	for i := range list {
		wg.Go(func() { f.fill(ctx, &list[i]) })
	}
	wg.Wait()
	return list
}

// fill fetches the spans of a linked trace.
func (f *Finder) fill(ctx context.Context, l *Linked) {
	trace, err := f.trace(ctx, l.ID)
	switch {
	case errors.Is(err, backend.ErrNotFound):
		l.Problem = "not stored: it was not sampled, or is older than what is kept"
	case err != nil:
		l.Problem = err.Error()
	default:
		l.Trace = trace
	}
}

// Inline tells whether the linked trace is small enough to be shown in full.
func (l Linked) Inline() bool {
	return len(l.Spans) > 0 && len(l.Spans) <= maxInline && l.More == 0
}

// sameSession finds the other traces of the connection that a trace belongs to: those that link to it, and the rest.
// Nothing is lost when this search fails but these lists, so that its error is not shown.
func (f *Finder) sameSession(ctx context.Context, trace Trace) (linking, rest []Found) {
	linking, rest = []Found{}, []Found{}
	for _, span := range trace.Spans {
		id := span.Attribute(session)
		if id == "" {
			continue
		}
		start, end := trace.Range()
		found, err := f.near(ctx, span.Service, Attribute{session, id}, start.Add(-time.Hour), end.Add(time.Hour))
		if err != nil {
			return linking, rest
		}
		for _, other := range found {
			switch {
			case other.TraceID == trace.ID:
			case slices.ContainsFunc(other.LinksTo, func(l Link) bool { return l.TraceID == trace.ID }):
				linking = append(linking, other)
			default:
				rest = append(rest, other)
			}
		}
		return linking, rest
	}
	return linking, rest
}
