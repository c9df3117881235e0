package backplane

import (
	"context"
	"fmt"

	"github.com/sockscope/sockscope/instrument"
)

// Publish sends the payload, with the trace context of ctx, to every node that is subscribed to the channel, including
// this one. Pass the context that Observer.BeginBroadcast returned. The message is counted as ok when Redis has taken
// it, even if nobody is subscribed, and as an error otherwise. Publish returns within the time of WithPublishTimeout,
// and at once with ErrDown while Redis is known to be unreachable. Nothing is kept for later.
func (b *Backplane) Publish(ctx context.Context, channel string, payload []byte) error {
	if reason := b.down.Load(); reason != nil {
		b.observed.Published(instrument.BackplaneError)
		return fmt.Errorf("backplane: publish to %q: %w: %w", channel, ErrDown, *reason)
	}
	if err := b.publish(ctx, channel, payload); err != nil {
		err = fmt.Errorf("backplane: publish to %q: %w", channel, err)
		b.observed.Published(instrument.BackplaneError)
		b.observed.Failed(ctx, err)
		return err
	}
	b.observed.Published(instrument.BackplaneOK)
	return nil
}

func (b *Backplane) publish(ctx context.Context, channel string, payload []byte) error {
	message := encode(ctx, payload)
	if len(message) > b.limit {
		return fmt.Errorf("%w: %d bytes with its envelope, limit %d", ErrTooBig, len(message), b.limit)
	}
	bounded, cancel := context.WithTimeout(ctx, b.publishTimeout)
	defer cancel()
	err := b.send(bounded, channel, message, b.expect(channel, message))
	if ctx.Err() == nil { // otherwise the caller has given up, which says nothing about Redis
		b.reached(err)
	}
	return err
}

// send publishes a message that is expected to come back.
func (b *Backplane) send(ctx context.Context, channel string, message []byte, watch uint64) error {
	err := b.client.Publish(ctx, channel, message).Err()
	b.echoes.sent(watch, err == nil)
	return err
}

// expect must be called before the message is published. If Redis has confirmed the channel, the message has to come
// back. expect does not wait for a Subscribe that is sending, which takes long if Redis hangs. The message then need
// not come back.
func (b *Backplane) expect(channel string, message []byte) (watch uint64) {
	hasTo := false
	if b.mu.TryLock() {
		defer b.mu.Unlock()
		hasTo = b.conn != nil && b.channels[channel].confirmed()
	}
	return b.echoes.expect(channel, message, hasTo)
}

// reached notes whether an attempt to publish has reached Redis. A refusal is an answer, too.
func (b *Backplane) reached(err error) {
	ok := err == nil || refused(err)
	switch {
	case !b.running.Load():
		b.observed.SetUp(ok)
	case !ok: // even if it succeeded, the subscription may be down
		b.observed.SetUp(false)
		select {
		case b.check <- struct{}{}:
		default:
		}
	}
}
