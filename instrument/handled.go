package instrument

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Handled notes a received message that was handled in the given time. It is for adapters that learn of a message only
// after its handling and whose messages are traced by other libraries, like those of gRPC. It counts the message like
// Received, and observes the time and the error like Message.End. It makes no span: exemplars and log records point at
// the span in ctx.
func (c *Conn) Handled(ctx context.Context, t MessageType, size int, took time.Duration, err error) {
	if !c.live() {
		return
	}
	o := c.observer
	took = max(took, 0)
	m := Message{conn: c, typ: o.resolve(t), ctx: ctx, size: size}
	if !c.counted.Load() {
		c.count(receive, m.typ, size)
	}
	m.typ.duration.observe(c.shard, int64(took))
	kind, failed := m.classify(err)
	slow := took >= o.slowThreshold
	theirs := trace.SpanContextFromContext(ctx)
	if !slow && !failed && !theirs.IsSampled() {
		return
	}
	now := o.now()
	if theirs.IsSampled() {
		m.typ.duration.exemplify(now, int64(took), theirs, slow || failed)
	}
	if slow || failed {
		// Take only the ids of the span: the library that started it sets its attributes and ends it.
		m.span = trace.SpanFromContext(trace.ContextWithSpanContext(o.root, theirs))
		m.report(now, took, kind, failed, err)
	}
}
