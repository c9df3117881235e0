package client

import "time"

// backoff makes the delays between attempts. They grow exponentially, with full jitter, so that clients that lost their
// connections at the same moment do not reconnect at the same moment.
type backoff struct {
	min, max time.Duration
	random   func() float64 // from 0 up to 1
	tries    int            // since the last reset
}

// next returns the delay before the next attempt: a random part of a ceiling that doubles with every attempt.
func (b *backoff) next() time.Duration { return b.jitter(b.ceiling()) }

// spread is like next with a ceiling of at least d, for when all clients have been disconnected at once.
func (b *backoff) spread(d time.Duration) time.Duration {
	return b.jitter(max(b.ceiling(), min(d, b.max)))
}

// long returns a delay between half of the longest one and the longest, for when it is useless to try soon.
func (b *backoff) long() time.Duration {
	b.ceiling()
	return b.max/2 + b.jitter(b.max-b.max/2)
}

// after returns next added to a time that the server has asked for.
func (b *backoff) after(d time.Duration) time.Duration { return d + b.next() }

func (b *backoff) reset() { b.tries = 0 }

func (b *backoff) ceiling() time.Duration {
	ceiling := b.min
	for i := 0; i < b.tries && ceiling < b.max; i++ {
		ceiling *= 2
	}
	b.tries++
	if ceiling <= 0 || ceiling > b.max { // it may have overflowed
		return b.max
	}
	return ceiling
}

func (b *backoff) jitter(ceiling time.Duration) time.Duration {
	return time.Duration(b.random() * float64(ceiling))
}
