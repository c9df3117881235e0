package console

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// maxSpans is the number of finished spans that are kept, about 1 KB each.
const maxSpans = 2000

// slowSpan is the duration at which a span's trace is listed as slow.
const slowSpan = time.Second

// Traces is the answer of api/v1/traces.
type Traces struct {
	Service  string  `json:"service"`
	Instance string  `json:"instance"`
	Traces   []Trace `json:"traces"` // newest first
}

// A Trace has the finished spans of one trace that are kept, sorted by their start.
type Trace struct {
	ID    string `json:"id"`
	Spans []Span `json:"spans"`
}

// A Span is a finished span.
type Span struct {
	TraceID  string    `json:"trace_id"`
	ID       string    `json:"id"`
	ParentID string    `json:"parent_id,omitempty"`
	Name     string    `json:"name"`
	Start    time.Time `json:"start"`
	Seconds  float64   `json:"seconds"`
	// Error says why the span failed; Failed may be true without one.
	Failed     bool           `json:"failed,omitempty"`
	Error      string         `json:"error,omitempty"`
	Attributes map[string]any `json:"attributes,omitempty"` // at most 16
	// Links are the ids of linked traces.
	Links []string `json:"links,omitempty"`
}

// notable reports whether somebody might look for the span.
func (s *Span) notable() bool { return s.Failed || s.Seconds >= slowSpan.Seconds() }

// spans keeps the newest finished spans. It is an sdktrace.SpanProcessor.
type spans struct {
	mu   sync.Mutex
	ring []Span
	next int
}

// SpanProcessor returns a processor that keeps the newest 2,000 finished spans, for the console to show. Register it by
// sdktrace.WithSpanProcessor, in addition to the processor that exports. It never blocks.
func (c *Console) SpanProcessor() sdktrace.SpanProcessor { return &c.spans }

// OnStart implements sdktrace.SpanProcessor.
func (*spans) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// Shutdown implements sdktrace.SpanProcessor.
func (*spans) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdktrace.SpanProcessor.
func (*spans) ForceFlush(context.Context) error { return nil }

// OnEnd implements sdktrace.SpanProcessor.
func (p *spans) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	kept := newSpan(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ring) < maxSpans {
		p.ring = append(p.ring, kept)
		return
	}
	p.ring[p.next] = kept
	p.next = (p.next + 1) % maxSpans
}

func newSpan(s sdktrace.ReadOnlySpan) Span {
	kept := Span{
		TraceID: s.SpanContext().TraceID().String(),
		ID:      s.SpanContext().SpanID().String(),
		Name:    cut(s.Name()),
		Start:   s.StartTime(),
		Seconds: s.EndTime().Sub(s.StartTime()).Seconds(),
		Failed:  s.Status().Code == codes.Error,
		Error:   cut(s.Status().Description),
	}
	if s.Parent().SpanID().IsValid() {
		kept.ParentID = s.Parent().SpanID().String()
	}
	if attributes := s.Attributes(); len(attributes) > 0 {
		kept.Attributes = make(map[string]any, min(len(attributes), maxAttributes))
		for _, a := range attributes[:min(len(attributes), maxAttributes)] {
			kept.Attributes[cut(string(a.Key))] = plain(a.Value)
		}
	}
	for _, link := range s.Links()[:min(len(s.Links()), maxAttributes)] {
		kept.Links = append(kept.Links, link.SpanContext.TraceID().String())
	}
	return kept
}

func plain(v attribute.Value) any {
	switch v.Type() {
	case attribute.BOOL:
		return v.AsBool()
	case attribute.INT64:
		return v.AsInt64()
	case attribute.FLOAT64:
		return finite(v.AsFloat64())
	default:
		return cut(v.String())
	}
}

// list returns the wanted spans, newest first, at most limit.
func (p *spans) list(limit int, wanted func(*Span) bool) []Span {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := []Span{}
	for i := range p.ring {
		// The newest is the one before next.
		if s := &p.ring[(p.next+2*len(p.ring)-1-i)%len(p.ring)]; wanted(s) && len(found) < limit {
			found = append(found, *s)
		}
	}
	return found
}

// traces returns the newest traces: all, or only those with a notable span.
func (p *spans) traces(limit int, all bool) []Trace {
	p.mu.Lock()
	defer p.mu.Unlock()
	byID := make(map[string][]Span)
	var notable []string // newest first
	for i := range p.ring {
		s := p.ring[(p.next+2*len(p.ring)-1-i)%len(p.ring)]
		byID[s.TraceID] = append(byID[s.TraceID], s)
		if (all || s.notable()) && !slices.Contains(notable, s.TraceID) && len(notable) < limit {
			notable = append(notable, s.TraceID)
		}
	}
	traces := make([]Trace, 0, len(notable))
	for _, id := range notable {
		spans := byID[id]
		slices.SortFunc(spans, func(a, b Span) int { return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.ID, b.ID)) })
		traces = append(traces, Trace{ID: id, Spans: spans[:min(len(spans), 50)]})
	}
	return traces
}
