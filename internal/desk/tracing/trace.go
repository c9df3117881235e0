// Package tracing finds one trace in Jaeger, the traces that belong to it, and its log records in the log store, and
// lays them out to be read.
package tracing

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"
)

// Limits on what is shown of one trace.
const (
	maxSpans      = 2000
	maxAttributes = 128
	maxLinks      = 32
	maxValue      = 4 << 10
)

// maxRange is how far from the others a span may lie. A span farther away, such as one at the start of 1970, is its
// sender's mistake.
const maxRange = 24 * time.Hour

// Attribute is a name and a value in words.
type Attribute struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Link points from a span to a span of another trace.
type Link struct {
	TraceID string `json:"traceId"`
	SpanID  string `json:"spanId"`
	// Missing tells that the trace could not be found.
	Missing bool `json:"missing,omitempty"`
}

// Span is one span of a trace.
type Span struct {
	TraceID    string      `json:"traceId"`
	ID         string      `json:"spanId"`
	Parent     string      `json:"parentSpanId,omitempty"`
	Name       string      `json:"name"`
	Kind       string      `json:"kind,omitempty"`
	Service    string      `json:"service"`
	Start      time.Time   `json:"start"`
	End        time.Time   `json:"end"`
	Status     string      `json:"status,omitempty"` // ok or error
	Message    string      `json:"statusMessage,omitempty"`
	Warning    string      `json:"warning,omitempty"` // Jaeger's, about what it had to correct
	Attributes []Attribute `json:"attributes,omitempty"`
	Resource   []Attribute `json:"resource,omitempty"`
	Links      []Link      `json:"links,omitempty"`
	Events     []Event     `json:"events,omitempty"`
}

// Event is something that a span noted at one moment.
type Event struct {
	Time       time.Time   `json:"time"`
	Name       string      `json:"name"`
	Attributes []Attribute `json:"attributes,omitempty"`
}

// Duration is how long the span took.
func (s Span) Duration() time.Duration { return s.End.Sub(s.Start) }

// Failed tells whether the span ended in an error.
func (s Span) Failed() bool { return s.Status == "error" }

// Attribute returns the value of an attribute, empty if the span has none.
func (s Span) Attribute(key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value
		}
	}
	return ""
}

// Trace is the spans that share a trace id.
type Trace struct {
	ID    string `json:"traceId"`
	Spans []Span `json:"spans"`
	More  int    `json:"more,omitempty"` // spans beyond what is shown
}

// Count is the number of spans, with those that are not shown.
func (t Trace) Count() int { return len(t.Spans) + t.More }

// Range returns the first start and the last end of the spans whose times are plausible.
func (t Trace) Range() (start, end time.Time) {
	middle := t.middle()
	for _, s := range t.Spans {
		if far(s.Start, middle) {
			continue
		}
		if start.IsZero() || s.Start.Before(start) {
			start = s.Start
		}
		if s.Start.After(end) {
			end = s.Start
		}
		if s.End.After(end) && !far(s.End, middle) {
			end = s.End
		}
	}
	return start, end
}

// Misplaced is the number of spans whose start or end is not plausible.
func (t Trace) Misplaced() int {
	middle := t.middle()
	n := 0
	for _, s := range t.Spans {
		if far(s.Start, middle) || far(s.End, middle) {
			n++
		}
	}
	return n
}

// middle is the start of which as many spans start earlier as later.
func (t Trace) middle() time.Time {
	starts := make([]time.Time, 0, len(t.Spans))
	for _, s := range t.Spans {
		starts = append(starts, s.Start)
	}
	if len(starts) == 0 {
		return time.Time{}
	}
	slices.SortFunc(starts, time.Time.Compare)
	return starts[len(starts)/2]
}

func far(at, middle time.Time) bool { return at.Sub(middle).Abs() > maxRange }

// ParseID returns a trace id in its canonical form, or an error that says what a trace id looks like.
func ParseID(s string) (string, error) {
	id, err := hex.DecodeString(s)
	if err != nil || len(id) != 16 || strings.Trim(s, "0") == "" {
		return "", errors.New("a trace id is 32 hexadecimal digits, not all of them 0")
	}
	return strings.ToLower(s), nil
}
