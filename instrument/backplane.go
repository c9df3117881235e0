package instrument

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/instrument/internal/errs"
)

// BackplaneResult says what became of a message between the nodes of one service.
type BackplaneResult uint8

// The results of a message on the backplane.
const (
	// BackplaneOK is a message that was handed over.
	BackplaneOK BackplaneResult = iota + 1
	// BackplaneError is a message that could not be handed over, or not be understood.
	BackplaneError
	// BackplaneDropped is a message for which there was no room.
	BackplaneDropped
)

func backplaneNames() []string { return []string{other, "ok", "error", "dropped"} }

// String returns the label value.
func (r BackplaneResult) String() string { return nameIn(backplaneNames(), r) }

// A Backplane observes the messages that the nodes of one service send to each other, so that a message received by one
// node reaches the connections of all. Get it from Observer.Backplane. All methods are safe for concurrent use; on a
// nil or zero Backplane they do nothing.
type Backplane struct {
	observer    *Observer
	name        string
	up          atomic.Bool
	exported    *series                           // whether it is up
	broken      atomic.Bool                       // and not restored yet
	messages    [2]closedCounter[BackplaneResult] // by direction
	lagThrottle throttle
}

func newBackplane(o *Observer, name string) *Backplane {
	b := &Backplane{observer: o, name: name, exported: newSeries(o.computed.backplane, name)}
	for _, d := range []direction{receive, transmit} {
		b.messages[d] = newClosedCounter[BackplaneResult](
			o.metrics.backplaneMessages.MustCurryWith(prometheus.Labels{"backplane": name, "direction": d.String()}),
			o.metrics.overflow.WithLabelValues("result"), backplaneNames(), nil)
	}
	return b
}

// Backplane returns the backplane that WithBackplanes registered under the name. For any other name it returns the
// backplane "other" and counts the call in sockscope_label_overflow_total.
func (o *Observer) Backplane(name string) *Backplane {
	if !o.live() {
		return nil
	}
	if b := o.backplanes[name]; b != nil {
		return b
	}
	o.metrics.overflow.WithLabelValues("backplane").Inc()
	return o.otherBackplane()
}

// SetUp sets websocket_backplane_up, which says whether the backplane works and is 0 until the first call. The first
// SetUp(true) after SetUp(false) or Failed writes the log record `backplane restored`.
func (b *Backplane) SetUp(up bool) {
	if !b.live() {
		return
	}
	if was := b.up.Swap(up); was && !up {
		b.broken.Store(true)
	}
	if up && b.broken.Swap(false) {
		b.observer.records.write(b.observer.root, recordRestored, b.observer.now(), slog.String("backplane", b.name))
	}
}

// Published counts a message sent to the other nodes.
func (b *Backplane) Published(r BackplaneResult) {
	if b.live() {
		b.messages[transmit].of(r).Inc()
	}
}

// Received counts a message of another node that is not delivered, such as one that can't be understood. BeginDelivery
// counts the others.
func (b *Backplane) Received(r BackplaneResult) {
	if b.live() {
		b.messages[receive].of(r).Inc()
	}
}

// Failed notes a failure of the backplane and writes the log record `backplane error`.
func (b *Backplane) Failed(ctx context.Context, err error) {
	if !b.live() {
		return
	}
	o := b.observer
	o.metrics.errors.of(ErrorBackplane).Inc()
	if !b.up.Load() {
		b.broken.Store(true)
	}
	o.records.write(ctx, recordBackplane, o.now(),
		slog.String("backplane", b.name), slog.String("error", errs.Text(err)))
}

// BeginDelivery begins to observe the delivery of another node's message to the connections of this node. The carrier
// holds the W3C trace context that came with the message, whatever WithPropagator sets, and may be nil. The time
// published is when the other node sent the message, by that node's clock. The time since then, by this node's clock,
// is observed as lag, and is part of the time until the message is written to the last recipient's socket. A negative
// lag counts as 0, and a zero time is not observed.
//
// The nodes are one service and trust each other, so the span `websocket.deliver` is a child of the sender's span. It
// exists only if the sender's span is sampled and WithSpanLimit allows it.
func (b *Backplane) BeginDelivery(ctx context.Context, carrier propagation.TextMapCarrier, published time.Time) (context.Context, *Broadcast) {
	if !b.live() {
		return ctx, nil
	}
	b.Received(BackplaneOK)
	fan := b.observer.newBroadcast()
	ctx, fan.span = b.startSpan(ctx, b.observer.contextIn(carrier, propagation.TraceContext{}), fan.start)
	if !published.IsZero() {
		lag := max(time.Since(published), 0)
		fan.published -= lag
		observe(b.observer.metrics.backplaneLag.WithLabelValues(b.name), &b.lagThrottle, fan.start, lag, fan.spanContext())
	}
	return ctx, fan
}

// startSpan starts the span of a delivery, unless it is not sampled.
func (b *Backplane) startSpan(ctx context.Context, sender trace.SpanContext, now time.Duration) (context.Context, trace.Span) {
	o := b.observer
	if !sender.IsSampled() {
		return ctx, nil
	}
	if v := o.decide(now, sender); v != sampled {
		o.suppressed(0, v)
		return ctx, nil
	}
	return o.tracer.Start(trace.ContextWithRemoteSpanContext(ctx, sender), o.protocol+".deliver",
		trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(
			o.keys.namespace.String(o.namespace),
			o.keys.backplane.String(b.name),
		))
}

// live is false for a nil and for a zero Backplane.
func (b *Backplane) live() bool { return b != nil && b.observer.live() }
