package instrument_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/propagation"

	"github.com/sockscope/sockscope/instrument"
)

// TestNoAllocations holds the path of a message that is not sampled to no allocation at all.
func TestNoAllocations(t *testing.T) {
	s := recordSpans()
	o := newObserver(t, s.option(), instrument.WithMessageTypes("message"), instrument.WithSampleRatio(0))
	c := open(t, o)
	message := o.MessageType("message")
	ctx := c.Context(t.Context())
	_, broadcast := o.BeginBroadcast(t.Context())
	handled := 0
	var carrier propagation.TextMapCarrier = sender("01")
	tests := map[string]func(){
		"MessageType":          func() { o.MessageType("message") },
		"MessageType, unknown": func() { o.MessageType("invented") },
		"Received":             func() { c.Received(message, 128) },
		"Sent":                 func() { c.Sent(message, 128) },
		"Dropped":              func() { c.Dropped(instrument.DropQueueFull, 1) },
		"BeginDelivery":        func() { c.BeginDelivery().Sent(message, 128) },
		"BeginDelivery of a broadcast": func() {
			broadcast.BeginDelivery(c).Sent(message, 128)
			broadcast.Dropped(broadcast.BeginDelivery(c), instrument.DropQueueFull)
		},
		"BeginPing":    func() { c.BeginPing().End(instrument.PingPong) },
		"BeginMessage": func() { _, m := c.BeginMessage(ctx, message, 128, nil); m.End(nil) },
		"Handle": func() {
			_ = c.Handle(ctx, message, 128, nil, func(context.Context) error { handled++; return nil })
		},
		"BeginMessage with a carrier": func() { _, m := c.BeginMessage(ctx, message, 128, carrier); m.End(nil) },
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			if got := testing.AllocsPerRun(1000, f); got != 0 {
				t.Errorf("%v allocations, want 0", got)
			}
		})
	}
	if n := len(s.Ended()); n != 1 {
		t.Errorf("%d spans, want that of the handshake only", n)
	}
}
