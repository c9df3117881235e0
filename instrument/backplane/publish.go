package backplane

import (
	"context"
	"fmt"

	"github.com/sockscope/sockscope/instrument"
)

// Publish sends the payload to every node that has subscribed to the channel, this one included, with the trace context
// of ctx, which normally is that of Observer.BeginBroadcast. It is counted as ok when Redis has taken it, whether or not
// anybody has subscribed, and as an error otherwise. It returns within the time of WithPublishTimeout, and at once with
// ErrDown while Redis is known to be unreachable. Nothing is kept for later.
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
	if ctx.Err() == nil { // else the caller has given up, which tells nothing about Redis
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

// expect is to be called before the message is published. If Redis has confirmed the channel, the message has to come
// back. A Subscribe that is sending is not waited for, as to a Redis that hangs it takes long; then it does not have to.
func (b *Backplane) expect(channel string, message []byte) (watch uint64) {
	hasTo := false
	if b.mu.TryLock() {
		defer b.mu.Unlock()
		hasTo = b.conn != nil && b.channels[channel].confirmed()
	}
	return b.echoes.expect(channel, message, hasTo)
}

// reached tells what an attempt to publish says about Redis. A refusal is an answer, too.
func (b *Backplane) reached(err error) {
	ok := err == nil || refused(err)
	switch {
	case !b.running.Load():
		b.observed.SetUp(ok)
	case !ok: // if it succeeded, the subscription may be down nevertheless
		b.observed.SetUp(false)
		select {
		case b.check <- struct{}{}:
		default:
		}
	}
}
