package tracing

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/sockscope/sockscope/internal/backend"
)

// maxFound is how many traces of the same connection are listed.
const maxFound = 20

// trace returns one trace.
func (f *Finder) trace(ctx context.Context, id string) (trace Trace, err error) {
	err = f.jaeger.Get(ctx, "/api/v3/traces/"+id, nil, func(r io.Reader) (err error) {
		trace, err = decodeTrace(r, id)
		return err
	})
	return trace, err
}

// Found is a trace in a list.
type Found struct {
	TraceID  string        `json:"traceId"`
	Name     string        `json:"name"` // of its first span
	Service  string        `json:"service"`
	Start    time.Time     `json:"start"`
	Duration time.Duration `json:"durationNanos"`
	Spans    int           `json:"spans"`
	Failed   bool          `json:"failed,omitempty"`
	LinksTo  []Link        `json:"-"`
	// Match is the span that a search was for, if that is not the first one; nil otherwise.
	Match *Match `json:"match,omitempty"`
}

// Match is the span of a trace that a search was for.
type Match struct {
	SpanID   string        `json:"spanId"`
	Name     string        `json:"name"`
	Service  string        `json:"service"`
	Duration time.Duration `json:"durationNanos"`
	Failed   bool          `json:"failed,omitempty"`
}

// The part of Jaeger's own JSON that is read. Only this API searches by attribute; version 3 over HTTP does not.
type (
	jaegerAnswer struct {
		Data []jaegerTrace `json:"data"`
	}
	jaegerTrace struct {
		TraceID   string       `json:"traceID"`
		Spans     []jaegerSpan `json:"spans"`
		Processes map[string]struct {
			ServiceName string      `json:"serviceName"`
			Tags        []jaegerTag `json:"tags"`
		} `json:"processes"`
	}
	jaegerSpan struct {
		SpanID     string `json:"spanID"`
		Name       string `json:"operationName"`
		References []struct {
			Type    string `json:"refType"`
			TraceID string `json:"traceID"`
			SpanID  string `json:"spanID"`
		} `json:"references"`
		StartMicros    int64       `json:"startTime"`
		DurationMicros int64       `json:"duration"`
		ProcessID      string      `json:"processID"`
		Tags           []jaegerTag `json:"tags"`
		Logs           []struct {
			Fields []jaegerTag `json:"fields"`
		} `json:"logs"`
	}
	jaegerTag struct {
		Key   string          `json:"key"`
		Value json.RawMessage `json:"value"`
	}
)

// question is what Jaeger's search can be asked: for the newest traces of a service that have each of the rest in one
// of their spans, not all of it in the same.
type question struct {
	service, operation string            // no operation is any
	tags               map[string]string // of spans or their resource
	shortest, longest  time.Duration     // 0 is any
	start, end         time.Time
	limit              int
}

func (q question) form() (url.Values, error) {
	form := url.Values{
		"service": {q.service},
		"limit":   {strconv.Itoa(q.limit)},
		"start":   {strconv.FormatInt(q.start.UnixMicro(), 10)},
		"end":     {strconv.FormatInt(q.end.UnixMicro(), 10)},
	}
	if q.operation != "" {
		form.Set("operation", q.operation)
	}
	if len(q.tags) > 0 {
		tags, err := json.Marshal(q.tags)
		if err != nil {
			return nil, err
		}
		form.Set("tags", string(tags))
	}
	if q.shortest > 0 {
		form.Set("minDuration", q.shortest.String())
	}
	if q.longest > 0 {
		form.Set("maxDuration", q.longest.String())
	}
	return form, nil
}

// ask asks Jaeger's search.
func (f *Finder) ask(ctx context.Context, q question) ([]jaegerTrace, error) {
	form, err := q.form()
	if err != nil {
		return nil, err
	}
	var answer jaegerAnswer
	err = f.jaeger.Get(ctx, "/api/traces", form, backend.Into(&answer))
	return answer.Data, err
}

// near returns the newest traces of a service with the given attribute, in a range of time.
func (f *Finder) near(ctx context.Context, service string, attribute Attribute, start, end time.Time) ([]Found, error) {
	answer, err := f.ask(ctx, question{
		service: service, tags: map[string]string{attribute.Key: attribute.Value}, start: start, end: end, limit: maxFound,
	})
	if err != nil {
		return nil, err
	}
	var list []Found
	for _, t := range answer {
		if found, ok := t.found(); ok {
			list = append(list, found)
		}
	}
	newestFirst(list)
	return list, nil
}

// OfService returns the newest traces in a range of time that a service has a span in, of an operation if its name is
// not empty.
func (f *Finder) OfService(ctx context.Context, service, operation string, start, end time.Time, limit int) ([]Trace, error) {
	answer, err := f.ask(ctx, question{service: service, operation: operation, start: start, end: end, limit: limit})
	if err != nil {
		return nil, err
	}
	var traces []Trace
	for _, t := range answer {
		if trace, ok := t.trace(); ok {
			traces = append(traces, trace)
		}
	}
	return traces, nil
}

func newestFirst(list []Found) {
	slices.SortFunc(list, func(a, b Found) int {
		return cmp.Or(b.Start.Compare(a.Start), cmp.Compare(a.TraceID, b.TraceID))
	})
}

// found sums a trace up.
func (t jaegerTrace) found() (Found, bool) {
	id := hexID(leadingZeros(t.TraceID), 16)
	if id == "" || len(t.Spans) == 0 {
		return Found{}, false
	}
	found := Found{TraceID: id, Spans: len(t.Spans)}
	for _, s := range t.Spans {
		for _, ref := range s.References {
			if other := hexID(leadingZeros(ref.TraceID), 16); other != "" && other != id {
				found.LinksTo = append(found.LinksTo, Link{TraceID: other, SpanID: hexID(ref.SpanID, 8)})
			}
		}
		found.Failed = found.Failed || s.failed()
	}
	start, end := t.times().Range()
	first := t.Spans[t.first()]
	found.Name = backend.Cut(first.Name, 256)
	found.Service = backend.Cut(t.Processes[first.ProcessID].ServiceName, 256)
	found.Start = start
	found.Duration = end.Sub(start)
	return found, true
}

// times is the trace with nothing but its times.
func (t jaegerTrace) times() Trace {
	var times Trace
	for _, s := range t.Spans {
		times.Spans = append(times.Spans, Span{Start: s.start(), End: s.start().Add(s.duration())})
	}
	return times
}

// first is the index of the span that begins the trace. Of several that start at the same time it is one whose parent
// is not in the trace.
func (t jaegerTrace) first() int {
	start, _ := t.times().Range()
	begins := func(s jaegerSpan) bool { return s.start().Equal(start) }
	root := slices.IndexFunc(t.Spans, func(s jaegerSpan) bool { return begins(s) && !slices.ContainsFunc(t.Spans, s.isChildOf) })
	if root >= 0 {
		return root
	}
	return slices.IndexFunc(t.Spans, begins) // their parents go round in circles
}

func (s jaegerSpan) start() time.Time { return time.UnixMicro(s.StartMicros).UTC() }

func (s jaegerSpan) duration() time.Duration {
	return time.Duration(max(s.DurationMicros, 0)) * time.Microsecond
}

func (s jaegerSpan) isChildOf(parent jaegerSpan) bool {
	for _, ref := range s.References {
		if ref.Type == "CHILD_OF" && ref.SpanID == parent.SpanID && s.SpanID != parent.SpanID {
			return true
		}
	}
	return false
}

func (s jaegerSpan) failed() bool {
	return slices.ContainsFunc(s.Tags, func(t jaegerTag) bool { return t.Key == "error" && string(t.Value) == "true" })
}

// leadingZeros completes a trace id whose upper half was left out for being 0.
func leadingZeros(id string) string {
	if len(id) == 16 {
		return "0000000000000000" + id
	}
	return id
}
