package instrument

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/instrument/internal/errs"
)

// A MessageType is a registered type of messages. Get it from Observer.MessageType. It is small and comparable, and
// belongs to its Observer. The zero value is the type "other".
type MessageType struct{ t *messageType }

// String returns the label value.
func (t MessageType) String() string {
	if t.t == nil {
		return other
	}
	return t.t.name
}

// messageType holds everything that messages of one type need, so that no message has to look anything up.
type messageType struct {
	observer  *Observer
	messages  counters // by direction
	duration  *histogram
	name      string
	spanName  string
	attribute attribute.KeyValue
	exported  func() []*series // messages
}

func newMessageType(o *Observer, name string) *messageType {
	return &messageType{
		observer:  o,
		name:      name,
		spanName:  o.protocol + ".message " + name,
		attribute: o.keys.messageType.String(name),
		messages:  make(counters, o.shards),
		exported: sync.OnceValue(func() []*series {
			return newCounterSeries(o.computed.messages, o.epoch, []string{receive.String(), name}, []string{transmit.String(), name})
		}),
		duration: o.metrics.newMessageDuration(name),
	}
}

// resolve returns the messageType of t. A type of another observer is outside of o's set.
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
	ctx     context.Context //nolint:containedctx // the classifier asks whether it has ended
	span    trace.Span      // nil unless sampled
	carrier propagation.TextMapCarrier
	size    int
	number  int64 // on the connection, from 1
	start   time.Duration
	verdict verdict
	ended   bool
}

// Handle observes the handling of a received message. It calls handle and returns its error. The arguments and costs
// are those of BeginMessage, and an error counts as described at Message.End. If handle panics or ends its goroutine,
// the message fails with an error of the kind panic, and the panic goes on.
func (c *Conn) Handle(
	ctx context.Context, t MessageType, size int, carrier propagation.TextMapCarrier, handle func(context.Context) error,
) error {
	ctx, m := c.BeginMessage(ctx, t, size, carrier)
	returned := false
	defer func() {
		if !returned {
			m.panicked(recover())
		}
	}()
	err := handle(ctx)
	returned = true
	m.End(err)
	return err
}

// BeginMessage counts a received message and begins to time its handling. The clock is read twice per message. If a
// function does the handling, use Handle, which also covers panics. Otherwise defer End: a message without End, such as
// after a panic, has neither a duration nor a span.
//
// The carrier holds the trace context that came with the message, such as its envelope's traceparent. It may be nil and
// must not change until End. The returned context carries the message's span if it is sampled.
//
// Pass a context that comes from Conn.Context, made once per connection. Then a message that is not sampled does not
// allocate, and BeginMessage returns ctx unchanged. For any other context BeginMessage calls Conn.Context, which
// allocates. Without that, spans and log records of the handler would end up in the trace of the request that opened
// the connection.
func (c *Conn) BeginMessage(
	ctx context.Context, t MessageType, size int, carrier propagation.TextMapCarrier,
) (_ context.Context, m Message) {
	if !c.live() {
		return ctx, m
	}
	o := c.observer
	if c.unwinding.Load() {
		c.unwinding.Store(false) // the application has recovered from the panic
	}
	// Set field by field, because a Message takes two cache lines, and this way it is not copied.
	m.conn, m.typ, m.ctx, m.carrier, m.size, m.start = c, o.resolve(t), c.Context(ctx), carrier, size, o.now()
	if c.counted.Load() {
		m.number = c.totals[receive].messages.Load()
	} else {
		m.number = c.count(receive, m.typ, size)
	}
	switch {
	case !o.tracing:
		m.verdict = untraced
	case c.trusted:
		m.verdict = o.decide(m.start, o.senderContext(carrier))
	default:
		m.verdict = o.sampler.draw(m.start)
	}
	if m.verdict == sampled {
		m.ctx, m.span = m.startSpan(m.ctx)
	}
	return m.ctx, m
}

// End ends the handling of the message. A second call only logs a warning. An error is counted in
// websocket_errors_total by the kind that WithErrorClassifier gives it, and logged as `message failed`. By default the
// kind is handler. context.Canceled does not count as an error if the message's context is cancelled or the connection
// has ended. A message that failed or was slow and has no span gets one now, if the limit allows it.
func (m *Message) End(err error) {
	kind, failed := ErrorKind(0), false
	if m.conn != nil {
		kind, failed = m.classify(err)
	}
	m.end(kind, failed, err)
}

func (m *Message) end(kind ErrorKind, failed bool, err error) {
	if m.conn == nil {
		return
	}
	o := m.conn.observer
	if m.ended {
		o.misused(misuseMessageEndedTwice)
		return
	}
	m.ended = true
	now := o.now()
	elapsed := now - m.start
	slow := elapsed >= o.slowThreshold
	if m.span == nil && (slow || failed) {
		m.keep(now, elapsed)
	}
	m.typ.duration.observe(m.conn.shard, int64(elapsed))
	switch {
	case m.span == nil:
		o.suppressed(m.conn.shard, m.verdict)
	case !m.span.SpanContext().IsSampled(): // so says the tracer provider
		o.suppressed(m.conn.shard, suppressedByRatio)
	default:
		m.typ.duration.exemplify(now, int64(elapsed), m.span.SpanContext(), slow || failed)
	}
	if slow || failed {
		m.report(now, elapsed, kind, failed, err)
	}
	if m.span != nil {
		m.span.End()
	}
}

// panicked ends a message whose handler did not return, and panics again unless the handler ended its goroutine. The
// panic is counted here, and not again when it ends the connection.
func (m *Message) panicked(v any) {
	if v == nil {
		m.end(ErrorPanic, true, errGoexit)
		return
	}
	if isAbort(v) {
		m.end(0, false, nil)
	} else {
		if m.conn.live() {
			m.conn.unwinding.Store(true)
		}
		m.end(ErrorPanic, true, &panicError{v})
	}
	panic(v) //nolint:forbidigo // the handler's own panic goes on as if it had not been observed
}

// report logs a message that was slow or failed.
func (m *Message) report(now, elapsed time.Duration, kind ErrorKind, failed bool, err error) {
	o := m.conn.observer
	record, attrs := recordSlow, []slog.Attr{
		slog.String("type", m.typ.name),
		slog.Int("size", m.size),
		slog.Float64("duration_seconds", elapsed.Seconds()),
	}
	if failed {
		o.metrics.errors.of(kind).Inc()
		record, attrs = recordFailed, append(attrs, slog.String("kind", kind.String()), slog.String("error", errs.Text(err)))
	}
	if failed && m.span != nil {
		m.span.SetAttributes(semconv.ErrorTypeKey.String(errs.Type(err)))
		m.span.SetStatus(codes.Error, errs.Text(err))
	}
	o.records.write(m.conn.spanContext(m.span), record, now, attrs...)
}

// keep makes the span of a message that turned out to be worth one, if the cap allows it, from the measured times. The
// wall clock is read only here, so a message without a span does not pay for it.
func (m *Message) keep(now, elapsed time.Duration) {
	o := m.conn.observer
	switch {
	case !o.tracing:
	case !o.sampler.cap.allow(now):
		m.verdict = suppressedByCap
	default:
		_, m.span = m.startSpan(o.root, trace.WithTimestamp(time.Now().Add(-elapsed)))
	}
}

func (m *Message) startSpan(ctx context.Context, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	o := m.conn.observer
	sender := o.senderContext(m.carrier)
	start := o.spanStarts.Get().(*spanStart)
	defer o.spanStarts.Put(start)
	if m.conn.trusted && sender.IsSampled() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, sender)
		opts = append(start.child(m), opts...)
	} else {
		opts = append(start.root(m, sender), opts...)
	}
	return o.tracer.Start(ctx, m.typ.spanName, opts...)
}
