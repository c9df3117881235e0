package client

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/sockscope/sockscope/instrument"
)

// begin is called when the streams are subscribed to. Events can't continue an earlier snapshot.
func (conn *connection) begin() {
	now := time.Now()
	for _, st := range conn.c.all {
		st.quiet = true
		conn.progressed(st, now)
		if st.reconciles() {
			st.settle()
			conn.reconcile(st, conn.trigger, nil)
		} else {
			conn.c.enter(st, Live, nil)
		}
	}
}

// receive processes the events of a message.
func (conn *connection) receive(m message) {
	events := conn.events[:0]
	err := guarded(func() (err error) {
		events, err = conn.c.feed.Decode(events, m.typ, m.payload)
		return err
	})
	conn.events = events
	if err != nil {
		conn.c.failed(instrument.ErrorDecode, recordNotDecoded, err, slog.Int("bytes", len(m.payload)))
		if conn.unread.add(m.at) && !conn.distrusting {
			conn.distrust()
		}
		return
	}
	if len(events) == 0 {
		return
	}
	conn.unread.end()
	if conn.distrusting {
		conn.trust()
	}
	if !conn.heardFrom {
		conn.heardFrom = true
		conn.c.metrics.firstMessage.Observe(m.at.Sub(conn.began).Seconds())
	}
	for _, e := range events {
		conn.event(conn.c.stream(e.Stream), e, &m)
	}
}

// distrust is called when too many messages in a row are not understood. They may have had events of any stream.
func (conn *connection) distrust() {
	conn.distrusting = true
	for _, st := range conn.c.all {
		if State(st.state.Load()) == Live {
			st.unread = true
			conn.distrusted(st, errNotUnderstood)
		}
	}
}

// trust is called when messages are understood again. A snapshot, if there is one, has the events that were missed
// meanwhile.
func (conn *connection) trust() {
	conn.distrusting = false
	for _, st := range conn.c.all {
		if !st.unread {
			continue
		}
		st.unread = false
		switch {
		case st.phase != live, st.Expect > 0 && st.quiet: // it has another reason not to be live
		case st.reconciles():
			conn.reconcile(st, triggerStale, nil)
		default:
			st.stale.Store(false)
			conn.c.enter(st, Live, nil)
		}
	}
}

// distrusted makes a live stream wait for something new.
func (conn *connection) distrusted(st *stream, why error) {
	st.stale.Store(true)
	if State(st.state.Load()) == Live {
		conn.c.records.write(recordStale, slog.String("stream", st.Name), errorAttr(why))
		conn.c.enter(st, Stale, why)
	}
}

// event counts an event and then holds it back, hands it to the handler, or leaves it out.
func (conn *connection) event(st *stream, e Event, m *message) {
	e.Received, e.MessageNumber, e.HandshakeTraceID = m.at, m.number, conn.handshake.TraceID()
	numbered := e
	if st == conn.c.other { // of many streams, so there is no sequence to follow
		numbered.First, numbered.Last, numbered.Restart, numbered.Snapshot = 0, 0, false, false
	}
	before := st.sequence.Last()
	verdict, tooOld := st.observe(&numbered, m.at)
	if verdict == Invalid {
		conn.c.failed(instrument.ErrorDecode, recordNotDecoded, fmt.Errorf("%w: %d to %d", errInvalid, e.First, e.Last),
			slog.String("stream", st.Name), slog.Int("bytes", len(m.payload)))
	}
	news := verdict == InOrder || verdict == Gap
	if news {
		conn.newsAt = m.at
		conn.progressed(st, m.at)
	}
	idle := st.phase == skipping && st.arrived == nil || st.overflow // there will be a snapshot
	switch stale := State(st.state.Load()) == Stale; {
	case numbered.Snapshot && news && st.reconciles():
		conn.arrive(st, e, m, before != 0 && st.sequence.Last()-before <= 1 && !stale)
	case numbered.Restart && news && st.reconciles():
		conn.restart(st, e, errRestart)
	case tooOld && st.reconciles() && !idle && st.phase != away:
		conn.restart(st, e, errTooOld)
	case tooOld && st.phase == live:
		conn.distrusted(st, errTooOld)
	case verdict == Invalid:
		// It is refused.
	case idle, st.phase < restoring && st.awaits():
		if news { // others are counted by their verdict
			st.metrics.superseded.Inc()
		}
	case st.phase < restoring:
		if news || verdict == OutOfOrder { // the snapshot may lack a late event
			conn.hold(st, e)
		}
	case !news:
		// It has been handled, or comes too late to be.
	case verdict == Gap && st.reconciles():
		conn.reconcile(st, triggerGap, errGap)
		conn.hold(st, e)
	case stale && st.reconciles():
		conn.reconcile(st, triggerStale, nil)
		conn.hold(st, e)
	default:
		conn.handOver(st, e, m)
	}
}

// arrive takes a snapshot that has come among the events. A snapshot that continues a live stream is queued like an
// event. Any other repairs the stream, whatever has happened.
func (conn *connection) arrive(st *stream, e Event, m *message, continues bool) {
	if continues && st.phase == live {
		conn.handOver(st, e, m)
		return
	}
	st.fresh(m.at)
	number, _ := snapshotNumber(&e) // it was checked by observe
	st.release()
	st.arrived, st.overflow, st.asked = &Snapshot{Last: number, Restart: e.Restart, Value: e.Value}, false, true
	switch st.phase {
	case away, skipping:
	case live, restoring:
		conn.overtake(st, triggerRestart, resting, errRestart)
		conn.start(st)
	default:
		conn.start(st)
	}
}

// restart reconciles a stream whose numbers restart with an event.
func (conn *connection) restart(st *stream, e Event, why error) {
	st.release()
	if st.phase != away && st.phase != skipping {
		conn.reconcile(st, triggerRestart, why)
	}
	switch {
	case !e.Restart: // it was only found out now, and the event is counted as old: the snapshot must contain it
		st.reset()
		_, _ = st.follow(&e)
	case st.awaits(), st.phase == skipping:
		st.metrics.superseded.Inc()
	default:
		conn.hold(st, e)
	}
}

// progressed notes that a stream received something new, or that it is expected to from now on.
func (conn *connection) progressed(st *stream, at time.Time) {
	if at.After(st.progress) { // a message may have waited longer than the time in which nobody has read
		st.progress = at
	}
	if st.Expect > 0 && st.quiet {
		st.quiet = false
		conn.wakeAt(at.Add(st.Expect))
	}
}

// fresh notes that something useful was received.
func (st *stream) fresh(at time.Time) {
	st.newest.Store(at.UnixNano())
	st.stale.Store(false)
}

// hold keeps an event for the time after the snapshot.
func (conn *connection) hold(st *stream, e Event) {
	switch {
	case st.hold(e, conn.c.config.bufferSize):
		st.fresh(e.Received)
	case st.phase == away || st.phase == skipping:
		// The next snapshot repairs an overflow that happens before it is fetched.
	default:
		conn.retry(st, resultOverflow, errOverflow)
	}
}

// handOver passes an event to the handler, or skips it if the handler is too slow.
func (conn *connection) handOver(st *stream, e Event, m *message) {
	if conn.push(item{stream: st, epoch: st.epoch, event: e, span: m.span}) {
		m.span = nil // one span stands for the message
		st.lost.end()
		st.fresh(m.at)
		if State(st.state.Load()) == Stale {
			conn.c.enter(st, Live, nil)
		}
		return
	}
	if st.reconciles() {
		st.metrics.superseded.Inc()
		conn.skip(st)
		return
	}
	if st.lost.n == 0 {
		st.metrics.gaps.Inc()
	}
	st.metrics.missing.Add(float64(width(e)))
	conn.c.records.write(recordSkipped, slog.String("stream", st.Name))
	if st.lost.add(m.at) {
		conn.distrusted(st, errSlow)
	}
}

// width returns the number of sequence numbers of an event.
func width(e Event) uint64 {
	if e.First == 0 || e.Last <= e.First {
		return 1
	}
	return e.Last - e.First + 1
}

// skip throws away the stream's queued events, and lets the stream go on from a snapshot when the handler has caught
// up.
func (conn *connection) skip(st *stream) {
	conn.overtake(st, triggerSlow, skipping, errSlow)
	st.skipBefore(st.epoch)
	conn.c.records.write(recordSkipped, slog.String("stream", st.Name))
	conn.c.starved.Store(true)
	if conn.c.caughtUp() {
		conn.c.signal() // the handler may have caught up before starved was set
	}
}

// push puts an item into the handler's queue and says whether there was room in time. While it waits, the connection is
// not read.
func (conn *connection) push(it item) bool {
	select {
	case conn.c.queue <- it:
		return true
	default:
	}
	if conn.c.config.queueWait == 0 {
		return false
	}
	conn.c.stalls.Add(1)
	defer conn.resume()
	timer := time.NewTimer(conn.c.config.queueWait)
	defer timer.Stop()
	select {
	case conn.c.queue <- it:
		return true
	case <-timer.C:
		return false
	case <-conn.ctx.Done():
		return true // the connection ends, so what was received on it does not matter any more
	}
}

// resume is called after a time in which the connection was not read. Silence in that time is not the streams' fault.
func (conn *connection) resume() {
	conn.c.stalls.Add(1)
	now := time.Now()
	for _, st := range conn.c.all {
		st.progress = now
	}
}
