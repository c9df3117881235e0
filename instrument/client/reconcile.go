package client

import (
	"context"
	"log/slog"
	"time"
)

// reconcile lets a stream start again from a snapshot: at once, or after a wait if that was necessary only just before.
func (s *session) reconcile(st *stream, t trigger, why error) {
	s.overtake(st, t, resting, why)
	s.start(st)
}

func (s *session) start(st *stream) {
	if !st.settled {
		s.rest(st)
		return
	}
	st.settled = false
	st.phase, st.retryAt = resting, time.Now()
	s.due(st, st.retryAt)
}

// overtake ends what the stream was doing, because a reconciliation has become necessary.
func (s *session) overtake(st *stream, t trigger, p phase, why error) {
	now := time.Now()
	if st.phase == live && now.Sub(st.liveAt) >= stableAfter {
		st.settle()
	}
	if st.reconciling() {
		s.c.reconciled(st, resultAborted)
	} else {
		st.began = now
	}
	st.epoch++
	st.phase = p
	st.trigger = t
	s.c.enter(st, Reconciling, why)
}

// rest waits before the next attempt.
func (s *session) rest(st *stream) {
	st.phase = resting
	st.retryAt = time.Now().Add(st.backoff.next())
	s.wakeAt(st.retryAt)
}

// retry ends an attempt that has failed and waits before the next.
func (s *session) retry(st *stream, r result, err error) {
	s.c.reconciled(st, r)
	s.c.records.write(recordNotReconciled, slog.String("stream", st.Name), slog.String("trigger", string(st.trigger)),
		slog.String("result", string(r)), errorAttr(err))
	st.epoch++
	s.rest(st)
}

// due fetches the snapshot of a stream that has rested. There is never more than one fetch per stream.
func (s *session) due(st *stream, now time.Time) {
	switch {
	case st.phase != resting || st.inFlight:
	case now.Before(st.retryAt):
		s.wakeAt(st.retryAt)
	default:
		s.fetch(st)
	}
}

func (s *session) fetch(st *stream) {
	st.phase, st.inFlight, st.overflow = fetching, true, false
	epoch := st.epoch
	s.children.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, s.c.config.snapshotTimeout)
		defer cancel()
		f := fetched{stream: st, epoch: epoch}
		f.err = guarded(func() (err error) {
			f.snapshot, err = st.Snapshot(ctx, st.Name)
			return err
		})
		select {
		case s.fetched <- f:
		case <-s.ctx.Done():
		}
	})
}

// snapshot has a snapshot restored and what comes after it handled, if the two meet.
func (s *session) snapshot(f fetched) {
	st := f.stream
	st.inFlight = false
	if f.epoch != st.epoch || st.phase != fetching {
		s.due(st, time.Now()) // another fetch may have been waiting for this one
		return
	}
	if f.err != nil {
		_ = s.c.countPanic(f.err) // other errors are in the result
		s.retry(st, resultError, f.err)
		return
	}
	rest, sequence, err := st.after(f.snapshot)
	if err != nil {
		s.retry(st, resultBehind, err)
		if f.snapshot.Last == 0 {
			st.held = nil // it has a gap that no snapshot without a number can be seen to close
		}
		return
	}
	st.sequence, st.held = sequence, nil
	st.phase = restoring
	if !s.push(item{stream: st, epoch: st.epoch, restore: &restore{snapshot: f.snapshot, rest: rest}}) {
		s.skip(st)
	}
}

// hear looks for what the handler or the application has to tell.
func (s *session) hear() {
	caughtUp := s.c.caughtUp() && s.c.starved.Swap(false)
	for _, st := range s.c.all {
		if h := st.result.Swap(nil); h != nil && h.epoch == st.epoch {
			s.handled(st, h)
		}
		if st.manual.Swap(false) && st.phase == live {
			s.reconcile(st, triggerManual, nil)
		}
		if caughtUp && st.phase == skipping {
			s.start(st)
		}
	}
}

// handled goes on with what the handler has made of the snapshot, or of an event.
func (s *session) handled(st *stream, h *handled) {
	switch {
	case h.err == nil && st.phase == restoring:
		st.phase, st.liveAt = live, time.Now()
		st.manual.Store(false) // asked for when this was under way
		took := st.liveAt.Sub(st.began).Seconds()
		s.c.reconciled(st, resultOK)
		s.c.metrics.reconciliationDuration.Observe(took)
		s.c.records.write(recordReconciled, slog.String("stream", st.Name), slog.String("trigger", string(st.trigger)),
			slog.Float64("duration_seconds", took), slog.Int("replayed", h.replayed), slog.Bool("drifted", h.drifted))
		if st.quiet {
			s.progressed(st, st.liveAt)
		}
		s.c.enter(st, Live, nil)
	case st.phase == restoring:
		s.retry(st, resultError, h.err)
	case st.phase == live && st.reconciles():
		s.reconcile(st, triggerHandler, h.err)
	}
}

// check does what is due, and returns a stream that is stale and for which the connection must be replaced.
func (s *session) check(now time.Time) *stream {
	s.alarmAt = time.Time{}
	for _, st := range s.c.all {
		s.due(st, now)
		if st.Expect > 0 && !st.quiet && st.phase != away && s.silent(st, now) {
			return st
		}
	}
	return nil
}

// silent marks a stream that has had nothing new to say for too long, and says whether to replace the connection.
func (s *session) silent(st *stream, now time.Time) bool {
	if due := st.progress.Add(st.Expect); now.Before(due) {
		s.wakeAt(due)
		return false
	}
	st.quiet = true
	st.stale.Store(true)
	s.c.records.write(recordStale, slog.String("stream", st.Name), slog.Float64("expect_seconds", st.Expect.Seconds()))
	if st.phase == live || !st.Tolerate {
		s.c.enter(st, Stale, errStale)
	}
	return !st.Tolerate
}

// wakeAt has check called at a time, or before.
func (s *session) wakeAt(t time.Time) {
	if s.alarmAt.IsZero() || t.Before(s.alarmAt) {
		s.alarmAt = t
		s.alarm.Reset(time.Until(t))
	}
}

// reconciled counts an attempt to reconcile.
func (c *Client) reconciled(st *stream, r result) {
	c.metrics.reconciliations.WithLabelValues(string(st.trigger), string(r)).Inc()
}
