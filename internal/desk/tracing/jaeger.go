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

// Limits on searches.
const (
	maxServices = 5
	maxFound    = 20
)

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
			ServiceName string `json:"serviceName"`
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
	}
	jaegerTag struct {
		Key   string          `json:"key"`
		Value json.RawMessage `json:"value"`
	}
)

// search returns the newest traces of a service, with the given attribute if its name is not empty, in a range of time.
func (f *Finder) search(ctx context.Context, service string, attribute Attribute, start, end time.Time) ([]Found, error) {
	query := url.Values{
		"service": {service},
		"limit":   {strconv.Itoa(maxFound)},
		"start":   {strconv.FormatInt(start.UnixMicro(), 10)},
		"end":     {strconv.FormatInt(end.UnixMicro(), 10)},
	}
	if attribute.Key != "" {
		tags, err := json.Marshal(map[string]string{attribute.Key: attribute.Value})
		if err != nil {
			return nil, err
		}
		query.Set("tags", string(tags))
	}
	var answer jaegerAnswer
	if err := f.jaeger.Get(ctx, "/api/traces", query, backend.Into(&answer)); err != nil {
		return nil, err
	}
	var list []Found
	for _, t := range answer.Data {
		if found, ok := t.found(); ok {
			list = append(list, found)
		}
	}
	newestFirst(list)
	return list, nil
}

// Recent returns the newest traces of the last hour, of the first few services.
func (f *Finder) Recent(ctx context.Context) ([]Found, error) {
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	services, err := f.services(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	var list []Found
	for _, service := range services[:min(len(services), maxServices)] {
		found, err := f.search(ctx, service, Attribute{}, now.Add(-time.Hour), now)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	newestFirst(list)
	list = slices.CompactFunc(list, func(a, b Found) bool { return a.TraceID == b.TraceID })
	return list[:min(len(list), 2*maxFound)], nil
}

// OfService returns the newest traces in a range of time that a service has a span in, of an operation if its name is
// not empty.
func (f *Finder) OfService(ctx context.Context, service, operation string, start, end time.Time, limit int) ([]Trace, error) {
	query := url.Values{
		"service": {service},
		"limit":   {strconv.Itoa(limit)},
		"start":   {strconv.FormatInt(start.UnixMicro(), 10)},
		"end":     {strconv.FormatInt(end.UnixMicro(), 10)},
	}
	if operation != "" {
		query.Set("operation", operation)
	}
	var answer jaegerAnswer
	if err := f.jaeger.Get(ctx, "/api/traces", query, backend.Into(&answer)); err != nil {
		return nil, err
	}
	var traces []Trace
	for _, t := range answer.Data {
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
	var times Trace
	for _, s := range t.Spans {
		start := time.UnixMicro(s.StartMicros).UTC()
		times.Spans = append(times.Spans, Span{Start: start, End: start.Add(time.Duration(s.DurationMicros) * time.Microsecond)})
		for _, ref := range s.References {
			if other := hexID(leadingZeros(ref.TraceID), 16); other != "" && other != id {
				found.LinksTo = append(found.LinksTo, Link{TraceID: other, SpanID: hexID(ref.SpanID, 8)})
			}
		}
		for _, tag := range s.Tags {
			found.Failed = found.Failed || tag.Key == "error" && string(tag.Value) == "true"
		}
	}
	start, end := times.Range()
	first := t.Spans[slices.IndexFunc(times.Spans, func(s Span) bool { return s.Start.Equal(start) })]
	found.Name = backend.Cut(first.Name, 256)
	found.Service = backend.Cut(t.Processes[first.ProcessID].ServiceName, 256)
	found.Start = start
	found.Duration = end.Sub(start)
	return found, true
}

// leadingZeros completes a trace id whose upper half was left out for being 0.
func leadingZeros(id string) string {
	if len(id) == 16 {
		return "0000000000000000" + id
	}
	return id
}
