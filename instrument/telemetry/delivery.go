package telemetry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	firstBackoff = 250 * time.Millisecond // before the second attempt
	maxBackoff   = 2 * time.Second        // between attempts: a server that returns is noticed within it
	giveUpAfter  = 10 * time.Minute       // a batch that a server can't take must not hold up the rest for ever
)

// outcome is how a delivery ended.
type outcome int

const (
	delivered outcome = iota // the server accepted it
	refused                  // the server will not accept it, or kept failing
	abandoned                // time was up before the server accepted it
)

// errRefused marks an attempt that is not worth repeating.
var errRefused = errors.New("refused")

// delivery repeats attempts to hand something to a backend. Every exporter goes through one of these, so that one place
// decides how long a backend may take, how often it is asked, and when it is given up; each exporter's own retrying is
// off, because none of them can be told at shutdown to stop it.
type delivery struct {
	ctx     context.Context // its end abandons what is under way: the shutdown's deadline
	failing *warning
}

// deliver calls attempt, which bounds its own time, until it succeeds, returns an error that is errRefused, or it is time to give up.
func (d delivery) deliver(attempt func(context.Context) error) outcome {
	started := time.Now()
	for backoff := firstBackoff; ; backoff = min(2*backoff, maxBackoff) {
		err := attempt(d.ctx)
		if err == nil {
			return delivered
		}
		if d.ctx.Err() != nil {
			return abandoned
		}
		d.failing.warn(err)
		if errors.Is(err, errRefused) || time.Since(started) > giveUpAfter {
			return refused
		}
		select {
		case <-d.ctx.Done():
			return abandoned
		case <-time.After(backoff/2 + rand.N(backoff/2)): // spread, so that services don't return all at once
		}
	}
}

// drain waits until an exporter of log records, whose queue was closed, is done. When ctx ends first, what is left is
// dropped: after abandon nothing holds the exporter up.
func drain(ctx context.Context, done <-chan struct{}, abandon context.CancelFunc, counts *logCounts) error {
	defer abandon()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		left := counts.undelivered.Load()
		abandon()
		<-done
		return fmt.Errorf("%d log records dropped: %w", left, ctx.Err())
	}
}

// refusedByGRPC marks err as refused unless it is one that OTLP's specification says to repeat.
func refusedByGRPC(err error) error {
	if err == nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	switch status.Code(err) {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss, codes.ResourceExhausted:
		return err
	default:
		return errors.Join(errRefused, err)
	}
}
