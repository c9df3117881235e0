package backplane

import (
	"fmt"
	"time"
)

// An Option configures a Backplane.
type Option func(*config) error

type config struct {
	pingInterval   time.Duration
	pingTimeout    time.Duration
	publishTimeout time.Duration
	queueLength    int
	limit          int
	onRestored     func(Gap)
	onDropped      func()
}

func defaults() config {
	return config{
		pingInterval:   time.Second,
		pingTimeout:    2 * time.Second,
		publishTimeout: time.Second,
		queueLength:    1024,
		limit:          64 << 10,
		onRestored:     func(Gap) {},
		onDropped:      func() {},
	}
}

// WithPing sets how often the subscription's connection is checked. A check is a ping, and a heartbeat if nothing else
// is published. The timeout is the longest time that the answer to the ping, or a message that this node has published,
// may take. A Redis that hangs or does not deliver, or a network that drops everything, is detected within the sum of
// interval and timeout. The defaults are 1 s and 2 s. A ping and a heartbeat cost Redis next to nothing.
func WithPing(interval, timeout time.Duration) Option {
	return func(c *config) error {
		if interval <= 0 || timeout <= 0 {
			return fmt.Errorf("ping interval %v, timeout %v: must be positive", interval, timeout)
		}
		c.pingInterval, c.pingTimeout = interval, timeout
		return nil
	}
}

// WithPublishTimeout sets how long Publish may take, including retries. If the client's options do not set
// ContextTimeoutEnabled, Publish to a Redis that hangs may take longer: one ReadTimeout of these options. The default
// is 1 s.
func WithPublishTimeout(d time.Duration) Option {
	return func(c *config) error {
		if d <= 0 {
			return fmt.Errorf("publish timeout %v: must be positive", d)
		}
		c.publishTimeout = d
		return nil
	}
}

// WithQueue sets how many received messages may wait for the handler. Further messages are dropped and counted. A full
// queue takes up to n times the limit of WithLimit in memory. The default is 1024.
func WithQueue(n int) Option {
	return func(c *config) error {
		if n <= 0 {
			return fmt.Errorf("queue of %d messages: must be positive", n)
		}
		c.queueLength = n
		return nil
	}
}

// WithLimit sets the size of the largest message in bytes, including the envelope. Publish refuses larger messages with
// ErrTooBig. Larger received messages are counted as errors and skipped. The default is 64 KiB.
func WithLimit(bytes int) Option {
	return func(c *config) error {
		if bytes <= 0 {
			return fmt.Errorf("limit of %d bytes: must be positive", bytes)
		}
		c.limit = bytes
		return nil
	}
}

// WithRestored sets f, which Run calls when a lost subscription is back. The Gap is the time in which messages may have
// been missed. Run calls f between two messages, so later messages are handled after f has fetched the missed ones. By
// default nothing is called.
func WithRestored(f func(Gap)) Option {
	return func(c *config) error {
		if f == nil {
			return fmt.Errorf("function for restored subscriptions is nil: leave the option out")
		}
		c.onRestored = f
		return nil
	}
}

// WithDropped sets f, which Run calls after messages were dropped because the queue was full, so that the service can
// fetch them or tell its clients to. Run first handles the messages that were waiting when the drop was noticed, and
// then calls f between two messages. One call stands for all messages dropped until then. By default nothing is called.
func WithDropped(f func()) Option {
	return func(c *config) error {
		if f == nil {
			return fmt.Errorf("function for dropped messages is nil: leave the option out")
		}
		c.onDropped = f
		return nil
	}
}

// A Gap is a time in which messages may have been missed. All messages that Redis had passed on by From, and all that
// were published after To, have been received or are counted as dropped. Times are by this node's clock.
type Gap struct {
	From, To time.Time
}

// Duration returns how long the gap lasted.
func (g Gap) Duration() time.Duration { return g.To.Sub(g.From) }
