package instrument

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/instrument/internal/errs"
)

// clockEvery is the number of recipients of a broadcast for which the clock is read once. Handing a message to that
// many takes some microseconds.
const clockEvery = 64

// A Broadcast is the publishing of one message to many connections, from Observer.BeginBroadcast or
// Backplane.BeginDelivery to End. Its methods are safe for concurrent use. On a nil or zero Broadcast they only do what
// the same method of Conn does.
type Broadcast struct {
	observer  *Observer
	span      trace.Span // nil unless sampled
	start     time.Duration
	published time.Duration // on another node, if the message came from there
	now       atomic.Int64  // time.Duration since the observer's epoch, as it was some recipients ago
	begun     atomic.Int64  // deliveries
	slow      atomic.Int64  // of them, to slow connections
	dropped   atomic.Int64  // before they waited in a queue
	ended     atomic.Bool

	_ [cacheLine]byte // deliveries end on other goroutines than they begin
	arrival
}

// BeginBroadcast begins to observe the publishing of one message to the connections of this process. The broadcast has
// one span, `websocket.broadcast`, and two observations, whatever the number of recipients: when the message was handed
// to the last recipient, and when it was written to the last recipient's socket. The span is a child of the span in ctx
// if that one is sampled. Without a span in ctx, the broadcast is sampled like a message, by ratio and cap. A remote
// span in ctx becomes only a link, unless peers are trusted. The returned context carries the span. Inject it into the
// messages that you publish elsewhere.
func (o *Observer) BeginBroadcast(ctx context.Context) (context.Context, *Broadcast) {
	if !o.live() {
		return ctx, nil
	}
	b := o.newBroadcast()
	parent := trace.SpanContextFromContext(ctx)
	opts := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(o.keys.namespace.String(o.namespace)),
	}
	if parent.IsRemote() && !o.trustedPeers { // a stranger's, which somebody has put into ctx
		ctx, opts = continueFrom(ctx, parent, false, opts)
		parent = trace.SpanContext{}
	}
	if v := o.decide(b.start, parent); v != sampled {
		o.suppressed(0, v)
		return ctx, b
	}
	ctx, b.span = o.tracer.Start(ctx, o.protocol+".broadcast", opts...)
	return ctx, b
}

func (o *Observer) newBroadcast() *Broadcast {
	now := o.now()
	b := &Broadcast{observer: o, start: now, published: now}
	b.now.Store(int64(now))
	return b
}

// BeginDelivery notes that the message is about to be put into the send queue of c, a recipient, like
// Conn.BeginDelivery. It reads the clock for only one in 64 recipients. The recipients may belong to several Observers.
func (b *Broadcast) BeginDelivery(c *Conn) Delivery {
	if !b.live() {
		return c.BeginDelivery()
	}
	if n := b.begun.Add(1); n%clockEvery == 0 {
		b.now.Store(int64(b.observer.now()))
	}
	if !c.live() {
		b.left(0) // nobody will say when it ends
		return Delivery{}
	}
	d := c.enqueue(c.observer.timeOf(b.observer, time.Duration(b.now.Load())), b)
	if d.state&behind != 0 {
		b.slow.Add(1)
	}
	return d
}

// Dropped notes that the queue did not take the message. The connection then does not count as a recipient, and the
// drop is counted once, as by Delivery.Dropped.
func (b *Broadcast) Dropped(d Delivery, r DropReason) {
	if first := d.dropped(r); b.live() && (first || d.conn == nil) { // the recipient may be unobserved
		b.dropped.Add(1)
	}
}

// End notes that the message was handed to the last recipient, or the error that prevented it. Only the first call
// counts.
func (b *Broadcast) End(err error) {
	if !b.live() || b.ended.Swap(true) {
		return
	}
	o := b.observer
	begun := b.begun.Load()
	recipients := begun - b.dropped.Load()
	now := o.now()
	observe(o.metrics.broadcastDuration.WithLabelValues(), &o.metrics.broadcastThrottle, now, now-b.start, b.spanContext())
	o.metrics.broadcastRecipients.WithLabelValues().Observe(float64(recipients))
	b.await(begun)
	if b.span == nil {
		return
	}
	b.span.SetAttributes(
		o.keys.recipients.Int64(recipients),
		o.keys.dropped.Int64(b.dropped.Load()),
	)
	if err != nil {
		b.span.SetAttributes(semconv.ErrorTypeKey.String(errs.Type(err)))
		b.span.SetStatus(codes.Error, errs.Text(err))
	}
	b.span.End()
}

func (b *Broadcast) spanContext() trace.SpanContext {
	if b.span == nil {
		return trace.SpanContext{}
	}
	return b.span.SpanContext()
}

// live is false for a nil and for a zero Broadcast.
func (b *Broadcast) live() bool { return b != nil && b.observer.live() }
