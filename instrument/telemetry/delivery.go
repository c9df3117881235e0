package telemetry

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	firstBackoff   = 250 * time.Millisecond // before the second attempt
	maxBackoff     = 2 * time.Second        // between attempts, so the return of a backend is noticed soon
	defaultTimeout = 10 * time.Second       // for one attempt, in case a backend hangs
	defaultGiveUp  = 10 * time.Minute       // a batch that a backend can't take must not hold up the rest for ever
)

// outcome is the result of a delivery.
type outcome int

const (
	delivered outcome = iota // the backend accepted it
	rejected                 // the backend will not accept it, or kept failing
	abandoned                // the time was up before the backend accepted it
)

// delivery repeats attempts to send something to a backend. Every exporter uses one, so that one place decides how long
// a backend may take, how often to try, and when to give up. The exporters' own retries are off, because they can't be
// stopped at shutdown.
type delivery struct {
	ctx     context.Context // its end, at the shutdown's deadline, abandons what is under way
	failing *warning
	timeout time.Duration // of one attempt
	giveUp  time.Duration // of all attempts together
}

// deliver calls attempt until it succeeds, returns an error that says it is refused (see [WithLogExporter]), or the
// time is up.
func (d delivery) deliver(attempt func(context.Context) error) outcome {
	started := time.Now()
	for backoff := firstBackoff; ; backoff = min(2*backoff, maxBackoff) {
		err := d.try(attempt)
		if err == nil {
			return delivered
		}
		if d.ctx.Err() != nil {
			return abandoned
		}
		d.failing.warn(err)
		var refusal interface{ Refused() bool }
		if errors.As(err, &refusal) && refusal.Refused() || time.Since(started) > d.giveUp {
			return rejected
		}
		select {
		case <-d.ctx.Done():
			return abandoned
		case <-time.After(backoff/2 + rand.N(backoff/2)): // spread, so that services don't return all at once
		}
	}
}

func (d delivery) try(attempt func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(d.ctx, d.timeout)
	defer cancel()
	return attempt(ctx)
}

// refused is an error of an attempt that is not worth repeating.
type refused struct{ error }

func (refused) Refused() bool { return true }

func (r refused) Unwrap() error { return r.error }
