package backplane

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Subscribe adds channels to those that the handler of Run gets messages of. While Run is connected, Subscribe returns
// when Redis has confirmed them. Otherwise it returns at once, and they are subscribed when Run connects. Channels that
// are subscribed already do no harm; they are not counted, so the last member who leaves a room should be the one who
// unsubscribes. An error means that Redis has refused the channels, as by its access control list, and the new ones
// have been removed again, or that ctx has ended first, and they remain.
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
	if err != nil && !errors.Is(err, errLost) { // what is lost is subscribed anew
		return fmt.Errorf("backplane: subscribe to %q: %w", channels, err)
	}
	return nil
}

// Unsubscribe removes channels. It returns when Redis has confirmed it, or at once while Run is not connected. Messages
// that have been received before are still handled. An error means that ctx has ended first; the channels are removed
// in any case. Without channels it does nothing.
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

// refused tells an answer of Redis from a failure to get one.
func refused(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer)
}
