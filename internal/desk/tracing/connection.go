package tracing

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sockscope/sockscope/internal/backend"
)

// Limits on the search for a connection's traces.
const (
	maxServices  = 32
	maxPerWindow = 200 // traces that one search returns
	maxSearches  = 40  // for the newest traces; the oldest are found with fewer
	// In a millisecond nobody is interested in more than that.
	shortestWindow = time.Millisecond
	// Windows that begin at the oldest trace are tried from firstWindow on, each so many times longer than the one
	// before.
	firstWindow, growth = time.Second, 4
)

// Window is the traces of a connection in a range of time.
type Window struct {
	// Start and End are the part of the wanted range that was searched to the end: its beginning, or its end if the
	// newest were wanted.
	Start, End time.Time
	Traces     []Trace
	// Incomplete tells that there are more in the range than a search returns, however short it is.
	Incomplete bool
	// Problem says which services were not asked, and why.
	Problem string
}

// OfConnection searches all services for the traces with a span whose attribute connection.id is the id. A long life
// has more of them than one answer can have: the window that it returns begins where the range does, or for newest ends
// there, and is as short as it has to be.
func (f *Finder) OfConnection(ctx context.Context, id string, start, end time.Time, newest bool) (Window, error) {
	return f.with(ctx, Attribute{session, id}, start, end, newest)
}

// OfPeer searches, as OfConnection does, for the traces that the other end of a connection has made of its messages,
// given the service's span of the handshake. The peer does not know the id that the service gave to the connection, so
// its spans name the trace of the peer's own handshake. The service's span is in that trace too if it trusts its peers,
// and links to it if not.
func (f *Finder) OfPeer(ctx context.Context, handshake Link, start, end time.Time, newest bool) (Window, error) {
	trace, err := f.trace(ctx, handshake.TraceID)
	if err != nil {
		if errors.Is(err, backend.ErrNotFound) { // not sampled
			err = nil
		}
		return Window{Start: start, End: end}, err
	}
	for _, attribute := range peerHandshakes(trace) {
		w, err := f.with(ctx, attribute, start, end, newest)
		if err != nil || len(w.Traces) > 0 {
			return w, err
		}
	}
	return Window{Start: start, End: end}, nil
}

// peerHandshakes returns what the peer's spans may have as the trace in which it has begun the handshake. The name
// begins with the handshake's, as in sse.handshake.trace_id for the span sse.handshake.
func peerHandshakes(trace Trace) []Attribute {
	var all []Attribute
	for _, span := range trace.Spans {
		key := span.Name + ".trace_id"
		switch {
		case !strings.HasSuffix(span.Name, ".handshake"):
		case span.Kind == "client":
			all = append(all, Attribute{key, trace.ID})
		case len(span.Links) > 0:
			all = append(all, Attribute{key, span.Links[0].TraceID})
		}
	}
	slices.SortFunc(all, func(a, b Attribute) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Value, b.Value))
	})
	return slices.Compact(all)
}

// with searches all services for the traces with a span that has the attribute.
func (f *Finder) with(ctx context.Context, attribute Attribute, start, end time.Time, newest bool) (Window, error) {
	services, problem, err := f.services(ctx)
	if err != nil {
		return Window{}, err
	}
	s := connectionSearch{f, attribute, services}
	find := s.oldest
	if newest {
		find = s.newest
	}
	w, err := find(ctx, start, end)
	w.Problem = problem
	return w, err
}

// connectionSearch searches services for the traces of a connection.
type connectionSearch struct {
	*Finder
	attribute Attribute
	services  []string
}

// newest returns the longest window at the end of the range that one search can fill.
func (s connectionSearch) newest(ctx context.Context, start, end time.Time) (Window, error) {
	from, to := start, end // there is nothing from to on
	jumped := false
	for range maxSearches {
		found, err := s.in(ctx, from, to)
		if err != nil {
			return Window{}, err
		}
		w := Window{Start: from, End: end, Traces: found.traces}
		half := to.Sub(from) / 2
		switch {
		case !found.full && (len(found.traces) > 0 || !from.After(start)):
			return w, nil
		case !found.full: // all of them are before
			from, to = later(start, from.Add(-2*half)), from
		case half < shortestWindow:
			w.Incomplete = true
			return w, nil
		case !jumped: // Jaeger has most likely returned the newest ones
			from, jumped = found.since.Add(time.Microsecond), true
		default:
			from = to.Add(-half)
		}
	}
	return Window{Start: from, End: end, Incomplete: true}, nil
}

// oldest returns a window at the beginning of the range. Jaeger can't be asked for the oldest traces, so it looks how
// long the window can be.
func (s connectionSearch) oldest(ctx context.Context, start, end time.Time) (Window, error) {
	found, err := s.in(ctx, start, end)
	if err != nil || !found.full {
		return Window{Start: start, End: end, Traces: found.traces}, err
	}
	known := Window{Start: start, End: start} // searched to its end
	to := end                                 // from start to it there are too many
	for width := firstWindow; start.Add(width).Before(to); width *= growth {
		try := start.Add(width)
		if found, err = s.in(ctx, start, try); err != nil {
			return Window{}, err
		}
		if found.full {
			to = try
			break
		}
		known.End, known.Traces = try, found.traces
	}
	if len(known.Traces) > 0 {
		try := known.End.Add(to.Sub(known.End) / growth) // there is often room for about as much again
		if found, err = s.in(ctx, start, try); err != nil {
			return Window{}, err
		}
		if !found.full {
			known.End, known.Traces = try, found.traces
		}
		return known, nil
	}
	for to.Sub(known.End) > shortestWindow {
		try := known.End.Add(to.Sub(known.End) / 2)
		next, err := s.in(ctx, known.End, try)
		switch {
		case err != nil:
			return Window{}, err
		case next.full:
			to, found = try, next
		case len(next.traces) == 0:
			known.End = try
		default:
			return Window{Start: start, End: try, Traces: next.traces}, nil
		}
	}
	return Window{Start: start, End: to, Traces: found.traces, Incomplete: true}, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// foundTraces is what the services answer.
type foundTraces struct {
	traces []Trace
	full   bool      // a service has as many as a search returns, or more
	since  time.Time // from when on none of those may be missing, if the newest were returned
}

// in searches all services at once.
func (s connectionSearch) in(ctx context.Context, start, end time.Time) (found foundTraces, err error) {
	answers := make([][]jaegerTrace, len(s.services))
	errs := make([]error, len(s.services))
	var wg sync.WaitGroup
	for i, service := range s.services {
		wg.Go(func() {
			answers[i], errs[i] = s.ask(ctx, question{
				service: service, tags: map[string]string{s.attribute.Key: s.attribute.Value}, start: start, end: end, limit: maxPerWindow,
			})
		})
	}
	wg.Wait()
	if err := cmp.Or(errs...); err != nil {
		return found, err
	}
	known := map[string]bool{}
	for _, answer := range answers {
		var first time.Time
		for _, t := range answer {
			trace, ok := t.trace()
			if !ok {
				continue
			}
			for _, span := range trace.Spans {
				if span.Attribute(s.attribute.Key) == s.attribute.Value && (first.IsZero() || span.Start.Before(first)) {
					first = span.Start
				}
			}
			if !known[trace.ID] {
				known[trace.ID] = true
				found.traces = append(found.traces, trace)
			}
		}
		if len(answer) >= maxPerWindow {
			found.full, found.since = true, later(found.since, first)
		}
	}
	return found, nil
}

// trace reads the spans of a trace that was found.
func (t jaegerTrace) trace() (Trace, bool) {
	trace := Trace{ID: hexID(leadingZeros(t.TraceID), 16)}
	if trace.ID == "" {
		return Trace{}, false
	}
	trace.More = max(len(t.Spans)-maxSpans, 0)
	for _, s := range t.Spans[:min(len(t.Spans), maxSpans)] {
		trace.Spans = append(trace.Spans, s.span(trace.ID, t.Processes[s.ProcessID].ServiceName))
	}
	return trace, len(trace.Spans) > 0
}

func (s jaegerSpan) span(traceID, service string) Span {
	start := s.start()
	span := Span{
		TraceID: traceID, ID: hexID(s.SpanID, 8), Name: backend.Cut(s.Name, 256), Service: backend.Cut(service, 256),
		Start: start, End: start.Add(s.duration()),
	}
	for _, ref := range s.References[:min(len(s.References), maxLinks)] {
		id := hexID(leadingZeros(ref.TraceID), 16)
		switch {
		case id == "":
		case ref.Type == "CHILD_OF" && id == traceID && span.Parent == "":
			span.Parent = hexID(ref.SpanID, 8)
		default:
			span.Links = append(span.Links, Link{TraceID: id, SpanID: hexID(ref.SpanID, 8)})
		}
	}
	for _, tag := range s.Tags[:min(len(s.Tags), maxAttributes)] {
		value := tag.words()
		switch tag.Key {
		case "span.kind":
			span.Kind = backend.Cut(value, 256)
		case "error":
			if value == "true" {
				span.Status = "error"
			}
		case "otel.status_code", "otel.scope.name", "otel.scope.version": // said already, or of no use to people
		case "otel.status_description":
			span.Message = value
		default:
			span.Attributes = append(span.Attributes, Attribute{backend.Cut(tag.Key, 256), value})
		}
	}
	return span
}

// words puts the value of a tag into words.
func (t jaegerTag) words() string {
	var text string
	if json.Unmarshal(t.Value, &text) != nil {
		text = string(t.Value)
	}
	return backend.Cut(text, maxValue)
}
