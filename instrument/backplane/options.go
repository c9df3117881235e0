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

// WithPing sets how often the subscription's connection is checked by a ping, and a heartbeat where nothing else is
// published. Timeout is how long the answer may take, and how long a message that this node has published may take to
// come back. A Redis that hangs or does not deliver, or a network that swallows everything, is found within the sum of
// both. The defaults are 1 s and 2 s; a ping and a heartbeat cost Redis next to nothing.
func WithPing(interval, timeout time.Duration) Option {
	return func(c *config) error {
		if interval <= 0 || timeout <= 0 {
			return fmt.Errorf("ping interval %v, timeout %v: must be positive", interval, timeout)
		}
		c.pingInterval, c.pingTimeout = interval, timeout
		return nil
	}
}

// WithPublishTimeout sets how long Publish may take, retries included. A Redis that hangs is waited for longer where
// the client's options do not set ContextTimeoutEnabled: until their ReadTimeout, once. The default is 1 s.
func WithPublishTimeout(d time.Duration) Option {
	return func(c *config) error {
		if d <= 0 {
			return fmt.Errorf("publish timeout %v: must be positive", d)
		}
		c.publishTimeout = d
		return nil
	}
}

// WithQueue sets how many received messages may wait for the handler. Those that find no room are dropped and counted.
// The queue takes up to n times the limit of WithLimit of memory when it is full. The default is 1024.
func WithQueue(n int) Option {
	return func(c *config) error {
		if n <= 0 {
			return fmt.Errorf("queue of %d messages: must be positive", n)
		}
		c.queueLength = n
		return nil
	}
}

// WithLimit sets the size of the largest message, envelope included, in bytes. Publish refuses larger ones with
// ErrTooBig; received ones are counted as errors and skipped. The default is 64 KiB.
func WithLimit(bytes int) Option {
	return func(c *config) error {
		if bytes <= 0 {
			return fmt.Errorf("limit of %d bytes: must be positive", bytes)
		}
		c.limit = bytes
		return nil
	}
}

// WithRestored has f called when a lost subscription is back, with the time for which messages may be missing. Run
// calls it between two messages, so what is handled afterwards may wait for what f fetches. By default nobody is told.
func WithRestored(f func(Gap)) Option {
	return func(c *config) error {
		if f == nil {
			return fmt.Errorf("function for restored subscriptions is nil: leave the option out")
		}
		c.onRestored = f
		return nil
	}
}

// WithDropped has f called after messages were dropped because the queue was full, so that the service can fetch them or
// tell its clients to. Run calls it between two messages, once those that waited by then are handled; what is dropped
// meanwhile is told with them. By default nobody is told.
func WithDropped(f func()) Option {
	return func(c *config) error {
		if f == nil {
			return fmt.Errorf("function for dropped messages is nil: leave the option out")
		}
		c.onDropped = f
		return nil
	}
}

// A Gap is a time in which messages may have been missed. Everything that Redis had passed on by From and everything
// published after To has been received or is counted as dropped. Times are those of this node's clock.
type Gap struct {
	From, To time.Time
}

// Duration returns how long the gap lasted.
func (g Gap) Duration() time.Duration { return g.To.Sub(g.From) }
