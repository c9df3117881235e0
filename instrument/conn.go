package instrument

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/instrument/internal/errs"
)

// A Conn observes one open connection, from Handshake.Opened to Closed. All methods are safe for concurrent use and in
// any order; on a nil or zero Conn they do nothing.
//
// Its fields are grouped by cache lines: fields that messages read and hardly ever change, queues, fields that are
// seldom needed, and fields that messages change. A scrape only looks at the first two groups.
type Conn struct {
	observer  *Observer
	shard     uint32 // of the instruments that messages move
	place     uint32 // among the live connections of its shard, whose lock protects it
	closed    atomic.Bool
	counted   atomic.Bool // by a Counter
	unwinding atomic.Bool // a panic that is counted
	traced    bool        // the handshake has a span
	trusted   bool        // the peer
	opened    time.Duration
	lastPong  atomic.Int64    // time.Duration since the observer's epoch; 0 is never
	last      [2]atomic.Int64 // the newest message by direction, likewise, coarsely

	queue         waiting
	queueCapacity atomic.Int64
	pings         waiting

	rtt       atomic.Int64 // time.Duration
	id        string
	number    uint64 // of the connection
	drain     atomic.Pointer[func()]
	handshake trace.SpanContext

	totals [2]totals // by direction
}

// totals counts what a connection has carried in one direction. It fills a cache line. Otherwise readers and writers,
// and connections next to each other in memory, would slow each other down.
type totals struct {
	messages, bytes atomic.Int64

	// Instruments that messages move outside of the connection. Looking them up for each message would cost more than
	// moving them.
	sizes, others sizes

	_ [cacheLine - 48]byte
}

// add returns the number of the message.
func (t *totals) add(size int) int64 {
	t.bytes.Add(int64(size))
	return t.messages.Add(1)
}

// sizes are the tallies of one shard of a histogram.
type sizes struct {
	*histogram
	tallies atomic.Pointer[[]tally] // once there was a message
}

func (s *sizes) observe(shard uint32, size int) {
	tallies := s.tallies.Load()
	if tallies == nil {
		tallies = s.of(shard)
		s.tallies.Store(tallies)
	}
	s.observeIn(tallies, int64(size))
}

func (o *Observer) newConn(h *Handshake, now time.Duration) *Conn {
	c := &Conn{
		observer:  o,
		id:        h.id,
		handshake: h.span.SpanContext(),
		traced:    h.traced,
		trusted:   h.trusted,
		opened:    now,
		number:    o.opened.Add(1),
	}
	c.shard = uint32(c.number) % uint32(o.shards)
	for d := range c.totals {
		c.totals[d].sizes.histogram, c.totals[d].others.histogram = o.metrics.messageSize[d], o.metrics.otherSize[d]
	}
	o.conns.add(c)
	o.active.Add(1)
	return c
}

// Observer returns the observer of the endpoint. It returns nil for a nil or zero Conn.
func (c *Conn) Observer() *Observer {
	if !c.live() {
		return nil
	}
	return c.observer
}

// A Cause says how a connection ended.
type Cause struct {
	// Initiator says who ended the connection.
	Initiator Initiator
	// Reason says why it ended.
	Reason CloseReason
	// Code is the close code that was sent or received. It is 1006 if there was no close frame, and 0 if the protocol
	// has no close codes. The close span and the log record have it. It is never a label, because peers choose it.
	Code int
	// Err is the error that ended the connection, if any. The log record has it.
	Err error
}

// ID returns the random id of the connection, which is connection.id on spans and connection_id in log records. It is
// never a label.
func (c *Conn) ID() string {
	if !c.live() {
		return ""
	}
	return c.id
}

// Context returns the context to use for everything that is done on behalf of the connection. It is ctx with the
// connection's id for log records, and without the span that ctx may carry. So no message becomes part of the trace of
// the request that opened the connection. Call it once per connection.
func (c *Conn) Context(ctx context.Context) context.Context {
	if !c.live() {
		return ctx
	}
	if ctx.Value(connectionKey{}) == any(c) {
		return ctx
	}
	return context.WithValue(trace.ContextWithSpanContext(ctx, trace.SpanContext{}), connectionKey{}, c)
}

// Received counts a received message whose handling is not timed. It takes no lock, reads no clock and does not
// allocate.
func (c *Conn) Received(t MessageType, size int) {
	if c.live() && !c.counted.Load() {
		c.count(receive, c.observer.resolve(t), size)
	}
}

// Sent counts a message that was written. It takes no lock, reads no clock and does not allocate.
func (c *Conn) Sent(t MessageType, size int) {
	if c.live() && !c.counted.Load() {
		c.count(transmit, c.observer.resolve(t), size)
	}
}

// count returns the number of the message on the connection.
func (c *Conn) count(d direction, t *messageType, size int) int64 {
	o := c.observer
	if size < 0 {
		o.misused(misuseNegativeSize)
		size = 0
	}
	n := &c.totals[d]
	if t == o.other {
		n.others.observe(c.shard, size)
	} else {
		t.messages.inc(c.shard, int(d))
		n.sizes.observe(c.shard, size)
	}
	raise(&c.last[d], o.last[d].mark(&o.epoch))
	return n.add(size)
}

// lastActive returns when the connection was opened or a message or pong was last seen, whichever is later.
func (c *Conn) lastActive() time.Duration {
	return time.Duration(max(int64(c.opened), c.last[receive].Load(), c.last[transmit].Load(), c.lastPong.Load()))
}

// A Counter counts the messages of a connection in place of the application. The zero Counter does nothing.
type Counter struct{ conn *Conn }

// BeginCounting returns a Counter that counts the connection's messages from now on. It is for adapters that see all
// messages. Received, Sent, BeginMessage and Delivery.Sent then stop counting, so that no message counts twice.
// BeginMessage still times the handling.
func (c *Conn) BeginCounting() Counter {
	if !c.live() {
		return Counter{}
	}
	c.counted.Store(true)
	return Counter{c}
}

// Received counts a received message.
func (n Counter) Received(t MessageType, size int) {
	if n.conn != nil {
		n.conn.count(receive, n.conn.observer.resolve(t), size)
	}
}

// Sent counts a message that was written.
func (n Counter) Sent(t MessageType, size int) {
	if n.conn != nil {
		n.conn.count(transmit, n.conn.observer.resolve(t), size)
	}
}

// Dropped counts n outbound messages that were not written.
func (c *Conn) Dropped(r DropReason, n int) {
	if c.live() && n > 0 {
		c.observer.metrics.dropped.of(r).Add(float64(n))
	}
}

// Failed counts an error that does not belong to a message and writes the log record `connection error`. Message.End
// counts the errors of messages. The record has the ids of the span in ctx. Without a span in ctx it has the ids of the
// handshake's span.
func (c *Conn) Failed(ctx context.Context, k ErrorKind, err error) {
	if !c.live() {
		return
	}
	o := c.observer
	o.metrics.errors.of(k).Inc()
	ctx = contextWithConnection(ctx, c.id)
	if !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = trace.ContextWithSpanContext(ctx, c.handshake)
	}
	o.records.write(ctx, recordError, o.now(),
		slog.String("kind", k.String()), slog.String("error", errs.Text(err)))
}

// Closed notes that the connection has ended, and ends its observation. Only the first call counts, so the cause comes
// from the caller who is first to learn of the end.
func (c *Conn) Closed(cause Cause) {
	if !c.live() || !c.closed.CompareAndSwap(false, true) {
		return
	}
	o := c.observer
	now := o.now()
	o.conns.remove(c)
	defer o.left()
	o.metrics.disconnection(cause.Initiator, cause.Reason).Inc()
	span := c.closeSpan(cause, now)
	o.metrics.connectionDuration.observe(cause.Reason, now, now-c.opened, span.SpanContext())

	ctx := c.spanContext(span)
	in, out := &c.totals[receive], &c.totals[transmit]
	attrs := append(make([]slog.Attr, 0, 9),
		slog.String("initiator", cause.Initiator.String()),
		slog.String("reason", cause.Reason.String()),
	)
	if cause.Code != 0 {
		attrs = append(attrs, slog.Int("code", cause.Code))
	}
	o.records.write(ctx, recordClosed, now, append(attrs,
		slog.Float64("duration_seconds", (now-c.opened).Seconds()),
		slog.Int64("received_messages", in.messages.Load()),
		slog.Int64("received_bytes", in.bytes.Load()),
		slog.Int64("sent_messages", out.messages.Load()),
		slog.Int64("sent_bytes", out.bytes.Load()),
		slog.String("error", errs.Text(cause.Err)),
	)...)
	if cause.Reason == ReasonSlowConsumer {
		o.records.write(ctx, recordSlowConsumer, now, slog.Int64("sent_messages", out.messages.Load()))
	}
}

// closeSpan makes the short span of the close, whose attributes describe the whole connection. Within the limits, there
// is one if the handshake has a span or if the connection failed. Otherwise closeSpan returns a span that does nothing.
func (c *Conn) closeSpan(cause Cause, now time.Duration) trace.Span {
	in, out := &c.totals[receive], &c.totals[transmit]
	o := c.observer
	if !o.tracing {
		return trace.SpanFromContext(o.root)
	}
	if made := c.traced && o.closeSpans.allow(now) || cause.IsFailure() && o.failureSpans.allow(now); !made {
		o.suppressed(c.shard, suppressedByCap)
		return trace.SpanFromContext(o.root)
	}
	attributes := append(make([]attribute.KeyValue, 0, 9),
		keyConnectionID.String(c.id),
		o.keys.closeReason.String(cause.Reason.String()),
		o.keys.closeInitiator.String(cause.Initiator.String()),
		o.keys.duration.Float64((now - c.opened).Seconds()),
		o.keys.receivedMessages.Int64(in.messages.Load()),
		o.keys.receivedBytes.Int64(in.bytes.Load()),
		o.keys.sentMessages.Int64(out.messages.Load()),
		o.keys.sentBytes.Int64(out.bytes.Load()),
	)
	if cause.Code != 0 {
		attributes = append(attributes, o.keys.closeCode.Int(cause.Code))
	}
	_, span := o.tracer.Start(o.root, o.protocol+".close",
		trace.WithNewRoot(),
		trace.WithSpanKind(trace.SpanKindInternal),
		trace.WithLinks(c.appendLinks(nil, trace.SpanContext{})...),
		trace.WithAttributes(attributes...))
	span.End()
	return span
}

// live is false for a nil and for a zero Conn.
func (c *Conn) live() bool { return c != nil && c.observer.live() }

// appendLinks appends the links of a root span: to the handshake and, if there is one, to the sender's context.
func (c *Conn) appendLinks(links []trace.Link, sender trace.SpanContext) []trace.Link {
	for _, sc := range []trace.SpanContext{c.handshake, sender} {
		if sc.IsValid() {
			links = append(links, trace.Link{SpanContext: sc})
		}
	}
	return links
}

// spanContext returns the context for the connection's own log records.
func (c *Conn) spanContext(span trace.Span) context.Context {
	ctx := context.WithValue(c.observer.root, connectionKey{}, c)
	if span == nil {
		return ctx
	}
	return trace.ContextWithSpan(ctx, span)
}
