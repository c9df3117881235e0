package instrument

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// A MessageType is a registered type of messages, resolved by Observer.MessageType. It is small, comparable and belongs
// to its Observer; the zero value is the type "other".
type MessageType struct{ t *messageType }

// String returns the label value.
func (t MessageType) String() string {
	if t.t == nil {
		return other
	}
	return t.t.name
}

// messageType holds all that messages of one type need, so that none of them has to look anything up.
type messageType struct {
	observer  *Observer
	name      string
	spanName  string
	attribute attribute.KeyValue
	messages  messageCounts
	duration  *histogram
}

func newMessageType(o *Observer, name string) *messageType {
	return &messageType{
		observer:  o,
		name:      name,
		spanName:  o.transport + ".message " + name,
		attribute: attribute.String(o.transport+".message.type", name),
		messages:  make(messageCounts, o.shards),
		duration:  o.metrics.newMessageDuration(name),
	}
}

// resolve returns what o knows about t. A type of another observer is outside of this one's set.
func (o *Observer) resolve(t MessageType) *messageType {
	switch {
	case t.t == nil:
		return o.other
	case t.t.observer != o:
		o.metrics.typeOverflow.Inc()
		return o.other
	}
	return t.t
}

// A Message is a received message that is being handled, from Conn.BeginMessage to End. The zero Message does nothing.
type Message struct {
	conn    *Conn
	typ     *messageType
	span    trace.Span // nil unless sampled
	carrier propagation.TextMapCarrier
	size    int
	start   time.Duration
	verdict verdict
}

// Receive counts a received message and begins to time its handling. The carrier holds the trace context that came with
// the message, such as its envelope's traceparent; it may be nil and must not change until End. The returned context
// carries the message's span if it is sampled. If it is not, Receive does not allocate and returns ctx as it is.
func (c *Conn) BeginMessage(ctx context.Context, t MessageType, size int, carrier propagation.TextMapCarrier) (context.Context, Message) {
	if !c.live() {
		return ctx, Message{}
	}
	o := c.observer
	m := Message{conn: c, typ: o.resolve(t), carrier: carrier, size: size, start: o.now()}
	c.count(receive, m.typ, size)
	var parent trace.SpanContext
	if o.trustedPeers {
		parent = senderContext(carrier)
	}
	if m.verdict = o.sampler.decide(m.start, parent); m.verdict == sampled {
		ctx, m.span = m.startSpan(contextWithConnection(ctx, c.id))
	}
	return ctx, m
}

// End ends the handling of the message and must be called exactly once. An error is counted in
// websocket_errors_total{kind="handler"} and logged as `message failed`. A message that failed or was slow and has no
// span gets it now.
func (m Message) End(err error) {
	if m.conn == nil {
		return
	}
	o := m.conn.observer
	now := o.now()
	elapsed := now - m.start
	slow := elapsed >= o.slowThreshold
	if m.span == nil && (slow || err != nil) {
		m.keep(now, elapsed)
	}
	if m.span == nil {
		o.suppressed(m.verdict)
	}
	m.typ.duration.observe(m.conn.shard, int64(elapsed))
	if m.span != nil {
		m.typ.duration.exemplify(now, int64(elapsed), m.span.SpanContext(), slow || err != nil)
	}
	if slow || err != nil {
		m.report(now, elapsed, err)
	}
	if m.span != nil {
		m.span.End()
	}
}

// report tells of a message that was slow or failed.
func (m *Message) report(now, elapsed time.Duration, err error) {
	o := m.conn.observer
	record, attrs := recordSlow, []slog.Attr{
		slog.String("type", m.typ.name),
		slog.Int("size", m.size),
		slog.Float64("duration_seconds", elapsed.Seconds()),
	}
	if err != nil {
		o.metrics.errors.of(ErrorHandler).Inc()
		record, attrs = recordFailed, append(attrs, slog.String("error", errorText(err)))
	}
	if err != nil && m.span != nil {
		m.span.SetAttributes(attribute.String("error.type", ErrorHandler.String()))
		m.span.SetStatus(codes.Error, errorText(err))
	}
	o.records.write(m.conn.spanContext(m.span), record, now, attrs...)
}

// suppressed counts a span that was not made, by what kept it from being made.
func (o *Observer) suppressed(v verdict) {
	switch v {
	case suppressedByRatio:
		o.metrics.suppressedByRatio.Inc()
	case suppressedByCap:
		o.metrics.suppressedByCap.Inc()
	case sampled, unsampledParent:
	}
}

// keep makes the span of a message that turned out to be worth one, if the cap allows it, with the times measured. The
// wall clock is read only here, so that a message without a span does not pay for it.
func (m *Message) keep(now, elapsed time.Duration) {
	if !m.conn.observer.sampler.cap.allow(now) {
		m.verdict = suppressedByCap
		return
	}
	_, m.span = m.startSpan(m.conn.observer.root, trace.WithTimestamp(time.Now().Add(-elapsed)))
}

func (m *Message) startSpan(ctx context.Context, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	o := m.conn.observer
	sender := senderContext(m.carrier)
	start := o.spanStarts.Get().(*spanStart)
	defer o.spanStarts.Put(start)
	if o.trustedPeers && sender.IsSampled() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, sender)
		opts = append(start.child(m), opts...)
	} else {
		opts = append(start.root(m, sender), opts...)
	}
	return o.tracer.Start(ctx, m.typ.spanName, opts...)
}
