package backplane

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Subscribe adds channels whose messages the handler of Run gets. While Run is connected, Subscribe returns when Redis
// has confirmed them. Otherwise it returns at once, and Run subscribes to them when it connects. You may subscribe to a
// channel twice. Subscriptions are not counted, so unsubscribe when the last member leaves a room. If Redis refuses the
// channels, such as by its access control list, Subscribe removes the new ones again and returns an error. If ctx ends
// first, it returns an error and the channels remain.
func (b *Backplane) Subscribe(ctx context.Context, channels ...string) error {
	if len(channels) == 0 {
		return nil
	}
	b.mu.Lock()
	var added []string
	subscribed := b.conn.send(subscribe, channels...)
	for _, ch := range channels {
		if _, ok := b.channels[ch]; !ok {
			b.channels[ch] = subscribed
			added = append(added, ch)
		}
	}
	b.mu.Unlock()

	err := subscribed.wait(ctx)
	if refused(err) {
		b.mu.Lock()
		b.forget(added)
		b.mu.Unlock()
	}
	if err != nil && !errors.Is(err, errLost) { // the next connection subscribes again
		return fmt.Errorf("backplane: subscribe to %q: %w", channels, err)
	}
	return nil
}

// Unsubscribe removes channels. It returns when Redis has confirmed that, or at once while Run is not connected.
// Messages received before are still handled. An error means that ctx has ended first. The channels are removed in any
// case. Without channels it does nothing.
func (b *Backplane) Unsubscribe(ctx context.Context, channels ...string) error {
	if len(channels) == 0 {
		return nil
	}
	b.mu.Lock()
	b.forget(channels)
	unsubscribed := b.conn.send(unsubscribe, channels...)
	b.mu.Unlock()

	if err := unsubscribed.wait(ctx); err != nil && !errors.Is(err, errLost) {
		return fmt.Errorf("backplane: unsubscribe from %q: %w", channels, err)
	}
	return nil
}

// forget removes channels. The caller holds the lock.
func (b *Backplane) forget(channels []string) {
	for _, ch := range channels {
		delete(b.channels, ch)
	}
	b.echoes.left(channels)
}

// refused reports whether the error is an answer of Redis, not a failure to get one.
func refused(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer)
}
