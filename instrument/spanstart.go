package instrument

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// A spanStart holds the options with which a message's span is started. It is reused, because the options are
// interfaces around slices and functions, and making them is a third of a span's allocations. A tracer copies the
// content of the options (trace.NewSpanStartConfig appends to empty slices), so the span shares no memory with them.
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

// child returns the options for the span of m as a child of the span in the context. They are valid until the next
// call.
func (s *spanStart) child(m *Message) []trace.SpanStartOption {
	return s.prepare(m, trace.SpanContext{})[:3:3] // otherwise append would overwrite the root
}

// root returns the options for the span of m as the root of a trace, linked to the sender's context if that is valid.
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
