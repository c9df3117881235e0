package check

import (
	"context"
	"errors"
	"time"
)

// A step checks one claim about the stack. It waits for an event, and then tries again and again until it succeeds or
// the time is up.
type step struct {
	name    string
	after   *moment // the event that it waits for
	reaches *moment // the event for which others wait, nil for most
	every   time.Duration
	try     func(context.Context) (detail string, err error)
	next    string // where to look when it fails
}

func (s step) follow(ctx context.Context) Result {
	<-s.after.settled
	if !s.after.happened {
		s.reaches.settle(false)
		return Result{Name: s.name, Skipped: true, Detail: "not tried: " + s.after.otherwise}
	}
	detail, err := eventually(ctx, s.every, s.try)
	s.reaches.settle(err == nil)
	result := Result{Name: s.name, OK: err == nil, Seconds: time.Since(s.after.at).Seconds(), Detail: detail}
	if err != nil {
		s.explain(&result, err)
	}
	return result
}

func (s step) explain(result *Result, err error) {
	result.Detail, result.Next = err.Error(), s.next
	var f *failure
	if errors.As(err, &f) {
		result.URL, result.Answer = f.url, f.answer
		if f.next != "" {
			result.Next = f.next
		}
	}
}

// eventually tries until an attempt succeeds or ctx ends, and then returns the error of the last complete attempt.
func eventually(ctx context.Context, every time.Duration, try func(context.Context) (string, error)) (string, error) {
	var last error
	for {
		detail, err := try(ctx)
		if err == nil {
			return detail, nil
		}
		if last == nil || ctx.Err() == nil {
			last = err // an attempt that the deadline cut short says less than the one before it
		}
		select {
		case <-ctx.Done():
			return "", last
		case <-time.After(every):
		}
	}
}

// A moment is an event for which steps wait. Each is settled once in every run, because everything that leads to it
// ends with the run's context.
type moment struct {
	otherwise string // the situation if it does not happen

	settled  chan struct{}
	at       time.Time
	happened bool
}

func newMoment(otherwise string) *moment {
	return &moment{otherwise: otherwise, settled: make(chan struct{})}
}

func (m *moment) settle(happened bool) {
	if m != nil {
		m.at, m.happened = time.Now(), happened
		close(m.settled)
	}
}
