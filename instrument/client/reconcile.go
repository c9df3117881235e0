package client

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
)

// reconcile lets a stream start again from a snapshot: at once, or after a wait if it was reconciled just before.
func (conn *connection) reconcile(st *stream, t trigger, why error) {
	conn.overtake(st, t, resting, why)
	conn.start(st)
}

// start lets a stream go on from the snapshot that has arrived among the events, or from another one.
func (conn *connection) start(st *stream) {
	if st.arrived != nil {
		arrived := *st.arrived
		st.arrived = nil
		conn.restore(st, arrived)
		return
	}
	if !st.settled {
		conn.rest(st)
		return
	}
	st.settled = false
	st.phase, st.retryAt = resting, time.Now()
	conn.due(st, st.retryAt)
}

// overtake ends the stream's present phase, because a reconciliation has become necessary.
func (conn *connection) overtake(st *stream, t trigger, p phase, why error) {
	now := time.Now()
	if st.phase == live && now.Sub(st.liveAt) >= stableAfter {
		st.settle()
	}
	if st.reconciling() {
		conn.c.reconciled(st, resultAborted)
	} else {
		st.began = now
	}
	st.epoch++
	st.phase = p
	st.trigger = t
	conn.c.enter(st, Reconciling, why)
}

// rest waits before the next attempt.
func (conn *connection) rest(st *stream) {
	st.phase = resting
	st.retryAt = time.Now().Add(st.backoff.next())
	conn.wakeAt(st.retryAt)
}

// retry ends an attempt that has failed and waits before the next.
func (conn *connection) retry(st *stream, r result, err error) {
	conn.c.reconciled(st, r)
	conn.c.records.write(recordNotReconciled, slog.String("stream", st.Name), slog.String("trigger", string(st.trigger)),
		slog.String("result", string(r)), errorAttr(err))
	st.epoch++
	conn.rest(st)
}

// due fetches the snapshot of a stream that has rested. There is never more than one fetch per stream.
func (conn *connection) due(st *stream, now time.Time) {
	switch {
	case st.phase == fetching && st.Snapshot == nil:
		if now.Before(st.expected) {
			conn.wakeAt(st.expected)
		} else {
			conn.retry(st, resultError, errNoSnapshot)
		}
	case st.phase != resting || st.inFlight:
	case now.Before(st.retryAt):
		conn.wakeAt(st.retryAt)
	default:
		conn.fetch(st)
	}
}

func (conn *connection) fetch(st *stream) {
	st.phase, st.overflow = fetching, false
	epoch := st.epoch
	if st.Snapshot != nil {
		st.inFlight = true
		conn.children.Go(func() { conn.fetchWith(st, epoch, st.Snapshot) })
		return
	}
	first := !st.asked
	st.asked = true
	if !first && st.Resubscribe == nil {
		conn.end(local(instrument.ReasonOther, websocket.StatusNormalClosure, fmt.Errorf("%s: %w", st.Name, errReplaced)))
		return
	}
	st.expected = time.Now().Add(conn.c.config.snapshotTimeout)
	conn.wakeAt(st.expected)
	if first {
		return // Subscribe has asked
	}
	st.inFlight = true
	conn.children.Go(func() {
		conn.fetchWith(st, epoch, func(ctx context.Context, name string) (Snapshot, error) {
			return Snapshot{}, st.Resubscribe(ctx, name, conn)
		})
	})
}

// fetchWith calls the function that fetches a snapshot, or asks for one, and sends the result to the loop.
func (conn *connection) fetchWith(st *stream, epoch uint64, fetch func(context.Context, string) (Snapshot, error)) {
	ctx, cancel := context.WithTimeout(conn.ctx, conn.c.config.snapshotTimeout)
	defer cancel()
	f := fetched{stream: st, epoch: epoch}
	f.err = guarded(func() (err error) {
		f.snapshot, err = fetch(ctx, st.Name)
		return err
	})
	select {
	case conn.fetched <- f:
	case <-conn.ctx.Done():
	}
}

// snapshot continues after a snapshot was fetched, or asked for.
func (conn *connection) snapshot(f fetched) {
	st := f.stream
	st.inFlight = false
	switch {
	case f.epoch != st.epoch || st.phase != fetching:
		conn.due(st, time.Now()) // another fetch may have been waiting for this one
	case f.err != nil:
		_ = conn.c.countPanic(f.err) // other errors are in the result
		conn.retry(st, resultError, f.err)
	case st.Snapshot == nil:
		// It is to come among the events.
	case f.snapshot.Last > maxNumber:
		conn.retry(st, resultError, fmt.Errorf("%w: %d", errInvalid, f.snapshot.Last))
	default:
		conn.restore(st, f.snapshot)
	}
}

// restore queues a snapshot to be restored and the events after it, if the two meet.
func (conn *connection) restore(st *stream, snapshot Snapshot) {
	rest, sequence, err := st.after(snapshot)
	if err != nil {
		conn.retry(st, resultBehind, err)
		if snapshot.Last == 0 {
			st.release() // it has a gap, and a snapshot without a number can't prove to close it
		}
		return
	}
	st.metrics.superseded.Add(float64(len(st.held) - len(rest)))
	st.sequence, st.held = sequence, nil
	st.last.Store(sequence.Last())
	if snapshot.Restart {
		st.highest = sequence.Last() // earlier events have other numbers
	}
	st.phase = restoring
	if !conn.push(item{stream: st, epoch: st.epoch, restore: &restore{snapshot: snapshot, rest: rest}}) {
		st.metrics.superseded.Add(float64(len(rest)))
		conn.skip(st)
	}
}

// hear looks for reports of the handler and requests of the application.
func (conn *connection) hear() {
	caughtUp := conn.c.caughtUp() && conn.c.starved.Swap(false)
	for _, st := range conn.c.all {
		if h := st.result.Swap(nil); h != nil && h.epoch == st.epoch {
			conn.handled(st, h)
		}
		if st.manual.Swap(false) && st.phase == live {
			conn.reconcile(st, triggerManual, nil)
		}
		if caughtUp && st.phase == skipping {
			conn.start(st)
		}
	}
}

// handled continues after the handler has handled the snapshot, or an event.
func (conn *connection) handled(st *stream, h *handled) {
	switch {
	case h.err == nil && st.phase == restoring:
		st.phase, st.liveAt = live, time.Now()
		st.manual.Store(false) // asked for when this was under way
		took := st.liveAt.Sub(st.began).Seconds()
		conn.c.reconciled(st, resultOK)
		conn.c.metrics.reconciliationDuration.Observe(took)
		conn.c.records.write(recordReconciled, slog.String("stream", st.Name), slog.String("trigger", string(st.trigger)),
			slog.Float64("duration_seconds", took), slog.Int("replayed", h.replayed), slog.Bool("drifted", h.drifted))
		if st.quiet {
			conn.progressed(st, st.liveAt)
		}
		conn.c.enter(st, Live, nil)
	case st.phase == restoring:
		conn.retry(st, resultError, h.err)
	case st.phase == live && st.reconciles():
		conn.reconcile(st, triggerHandler, h.err)
	}
}

// check does what is due, and returns a stale stream for which the connection must be replaced, if there is one.
func (conn *connection) check(now time.Time) *stream {
	conn.alarmAt = time.Time{}
	for _, st := range conn.c.all {
		conn.due(st, now)
		if st.Expect > 0 && !st.quiet && st.phase != away && conn.silent(st, now) {
			return st
		}
	}
	return nil
}

// silent marks a stream that has received nothing new for too long, and says whether to replace the connection.
func (conn *connection) silent(st *stream, now time.Time) bool {
	if due := st.progress.Add(st.Expect); now.Before(due) {
		conn.wakeAt(due)
		return false
	}
	st.quiet = true
	st.stale.Store(true)
	conn.c.records.write(recordStale, slog.String("stream", st.Name), slog.Float64("expect_seconds", st.Expect.Seconds()))
	if st.phase == live || !st.Tolerate {
		conn.c.enter(st, Stale, errStale)
	}
	return !st.Tolerate
}

// wakeAt makes the loop call check at the time t, or before.
func (conn *connection) wakeAt(t time.Time) {
	if conn.alarmAt.IsZero() || t.Before(conn.alarmAt) {
		conn.alarmAt = t
		conn.alarm.Reset(time.Until(t))
	}
}

// reconciled counts an attempt to reconcile.
func (c *Client) reconciled(st *stream, r result) {
	c.metrics.reconciliations.WithLabelValues(string(st.trigger), string(r)).Inc()
}
