package instrument

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// A spanStart holds what a message's span is started with, to be used again: the options are interfaces around slices
// and functions, and making them anew is a third of a span's allocations. Whoever starts a span from an option copies
// what is in it (trace.NewSpanStartConfig appends to empty slices), so nothing of it is shared with the span.
type spanStart struct {
	attributes [4]attribute.KeyValue // type, size, number, connection
	links      [2]trace.Link
	withLinks  [len([2]trace.Link{}) + 1]trace.SpanStartOption // by their number
	options    [5]trace.SpanStartOption                        // four, and room for a timestamp
}

func newSpanStart(o *Observer) *spanStart {
	s := new(spanStart)
	s.attributes[1].Key = o.keys.messageSize
	s.attributes[2].Key = o.keys.messageNumber
	s.attributes[3].Key = keyConnectionID
	for n := range s.withLinks {
		s.withLinks[n] = trace.WithLinks(s.links[:n]...)
	}
	s.options[0] = trace.WithSpanKind(trace.SpanKindConsumer)
	s.options[1] = trace.WithAttributes(s.attributes[:]...)
	s.options[3] = trace.WithNewRoot()
	return s
}

// child returns the options for the span of m as a child of the one in the context. They are valid until the next call.
func (s *spanStart) child(m *Message) []trace.SpanStartOption {
	return s.prepare(m, trace.SpanContext{})[:3:3] // or what is appended would replace the root
}

// root returns the options for the span of m as the root of a trace, linked to the sender's if that is valid.
func (s *spanStart) root(m *Message, sender trace.SpanContext) []trace.SpanStartOption {
	return s.prepare(m, sender)[:4]
}

func (s *spanStart) prepare(m *Message, sender trace.SpanContext) []trace.SpanStartOption {
	s.attributes[0] = m.typ.attribute
	s.attributes[1].Value = attribute.IntValue(m.size)
	s.attributes[2].Value = attribute.Int64Value(m.number)
	s.attributes[3].Value = attribute.StringValue(m.conn.id)
	s.options[2] = s.withLinks[len(m.conn.appendLinks(s.links[:0], sender))]
	return s.options[:]
}
