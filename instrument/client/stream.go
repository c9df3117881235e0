package client

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// phase says how far the reconciliation of a stream is.
type phase uint8

const (
	away      phase = iota // there is no connection, or no subscription yet: events are held back
	skipping               // waits for the handler to catch up; events are thrown away
	resting                // waits before fetching a snapshot; events are held back unless there were too many
	fetching               // a snapshot is being fetched, or expected among the events; events are held back
	restoring              // the snapshot, or what came until it was restored, is in the handler's queue; events go after it
	live
)

// stream is a registered stream, or the one for all others. Fields that are not atomic belong to Run's goroutine.
type stream struct {
	Stream
	metrics streamMetrics
	state   atomic.Uint32 // State
	newest  atomic.Int64  // Unix time in ns of the newest useful event
	last    atomic.Uint64 // the end of the sequence
	manual  atomic.Bool   // the application asks for a reconciliation
	result  atomic.Pointer[handled]
	stale   atomic.Bool   // there has been nothing new for too long, maybe over several connections
	skip    atomic.Uint64 // the handler skips what was queued in an epoch before this

	phase    phase
	epoch    uint64 // counts attempts to reconcile, and connections
	sequence Sequence
	highest  uint64 // number received since the sequence began: a snapshot may be ahead of that
	held     []Event
	arrived  *Snapshot // came among the events, and waits for the subscription or the handler; held comes after it
	overflow bool      // too many events for held: nothing is held back until the next fetch
	progress time.Time // when there was something new
	quiet    bool      // check need not look at it: it waits for the subscription, or is known to be stale
	repeats  drops     // old events
	lost     drops     // events without room in the queue
	unread   bool      // it is stale because no message was understood

	trigger  trigger
	began    time.Time // when reconciling became necessary
	backoff  backoff
	settled  bool // there is no reason to wait before the next attempt
	retryAt  time.Time
	liveAt   time.Time
	inFlight bool      // a snapshot is being fetched, maybe for an epoch that has passed
	asked    bool      // for a snapshot among the events, on this connection
	expected time.Time // when that must have arrived
}

type streamMetrics struct {
	gaps, missing, duplicates, late, superseded, drift prometheus.Counter
	lag                                                prometheus.Observer
}

// handled is the handler's report about a stream. It says that the handler has restored a snapshot and handled the
// events that were held back or came until then, or that something failed.
type handled struct {
	epoch    uint64
	replayed int
	drifted  bool
	err      error
}

func newStream(s Stream, c *config, m *metrics) *stream {
	return &stream{
		Stream:  s,
		backoff: backoff{min: c.minBackoff, max: c.maxBackoff, random: c.random},
		metrics: streamMetrics{
			gaps:       m.gaps.WithLabelValues(s.Name),
			missing:    m.missing.WithLabelValues(s.Name),
			duplicates: m.duplicates.WithLabelValues(s.Name),
			late:       m.late.WithLabelValues(s.Name),
			superseded: m.superseded.WithLabelValues(s.Name),
			drift:      m.drift.WithLabelValues(s.Name),
			lag:        m.lag.WithLabelValues(s.Name),
		},
	}
}

// reconciles says whether there are snapshots to reconcile the stream with.
func (st *stream) reconciles() bool { return st.Restore != nil }

// awaits says whether a snapshot must come among the events before any of them is useful.
func (st *stream) awaits() bool { return st.reconciles() && st.Snapshot == nil && st.arrived == nil }

// open prepares the stream for a new connection. Unless the stream resumes, its sequence restarts, because many feeds
// number the events of each connection.
func (st *stream) open() {
	st.close()
	if !st.Resume {
		st.reset()
	}
	st.repeats.end()
	st.lost.end()
	st.asked, st.unread = false, false
	st.manual.Store(false)
	if !st.reconciles() {
		st.phase = live
	}
}

// reset restarts the sequence.
func (st *stream) reset() {
	st.sequence, st.highest = Sequence{}, 0
	st.last.Store(0)
}

// close forgets everything about a connection that has ended.
func (st *stream) close() {
	st.epoch++
	st.phase = away
	st.release()
	st.overflow, st.inFlight = false, false
}

// release drops the events that were held back, because a snapshot contains them.
func (st *stream) release() {
	st.metrics.superseded.Add(float64(len(st.held)))
	st.held, st.arrived = nil, nil
}

// settle lets the next reconciliation begin at once.
func (st *stream) settle() {
	st.settled = true
	st.backoff.reset()
}

// reconciling says whether a reconciliation is under way.
func (st *stream) reconciling() bool { return st.phase != away && st.phase != live }

// skipBefore makes the handler skip items that were queued before an epoch.
func (st *stream) skipBefore(epoch uint64) {
	for {
		old := st.skip.Load()
		if old >= epoch || st.skip.CompareAndSwap(old, epoch) {
			return
		}
	}
}

// observe counts an event. It returns the verdict about its numbers, and whether there were too many useless events in
// a row.
func (st *stream) observe(e *Event, at time.Time) (verdict Verdict, tooOld bool) {
	if !e.Time.IsZero() {
		st.metrics.lag.Observe(max(at.Sub(e.Time), 0).Seconds())
	}
	verdict, missing := st.follow(e)
	switch verdict {
	case Gap:
		st.metrics.gaps.Inc()
		st.metrics.missing.Add(float64(missing))
	case Duplicate:
		st.metrics.duplicates.Inc()
	case OutOfOrder:
		st.metrics.late.Inc()
	case Superseded:
		st.metrics.superseded.Inc()
	case InOrder, Invalid:
	}
	return verdict, st.repeated(e, verdict, at)
}

// follow moves the sequence on.
func (st *stream) follow(e *Event) (verdict Verdict, missing uint64) {
	switch {
	case e.Snapshot:
		number, ok := snapshotNumber(e)
		if !ok {
			return Invalid, 0
		}
		st.reset()
		st.sequence.Reset(number)
	case e.Restart:
		var anew Sequence
		if verdict, _ = anew.Observe(e.First, e.Last); verdict == Invalid {
			return Invalid, 0
		}
		st.reset()
		st.sequence = anew
	default:
		verdict, missing = st.sequence.Observe(e.First, e.Last)
	}
	st.last.Store(st.sequence.Last())
	return verdict, missing
}

// snapshotNumber returns the number of a snapshot that is an event, or 0 if it has none.
func snapshotNumber(e *Event) (number uint64, ok bool) {
	if e.First == 0 && e.Last <= maxNumber {
		return e.Last, true
	}
	s, ok := numbers(e.First, e.Last)
	return s.last, ok
}

// repeated says whether only old events have come for too long. An event at the end of the sequence ends the run: a
// replay gets there, but numbers that have restarted do not. An event that is old only because the snapshot was ahead
// ends it, too.
func (st *stream) repeated(e *Event, verdict Verdict, at time.Time) (tooOld bool) {
	last := e.Last
	if last == 0 {
		last = e.First
	}
	ahead := last > st.highest
	if verdict != Invalid {
		st.highest = max(st.highest, last)
	}
	switch {
	case verdict == Invalid, verdict == Duplicate && last < st.sequence.Last(), verdict == OutOfOrder && st.phase >= restoring,
		verdict == Superseded && !ahead && last < st.sequence.Last():
		return st.repeats.add(at)
	}
	st.repeats.end()
	return false
}

// hold keeps an event back and says whether there was room.
func (st *stream) hold(e Event, limit int) bool {
	if len(st.held) >= limit {
		st.release()
		st.metrics.superseded.Inc()
		st.overflow = true
		return false
	}
	st.held = append(st.held, e)
	return true
}

// after returns the events that were held back and come after the snapshot, and the sequence after them. It fails if
// they do not continue the snapshot without a gap.
func (st *stream) after(s Snapshot) ([]Event, Sequence, error) {
	events := slices.Clone(st.held)
	slices.SortStableFunc(events, func(a, b Event) int {
		switch {
		case a.First < b.First:
			return -1
		case a.First > b.First:
			return 1
		}
		return 0
	})
	var sequence Sequence
	sequence.Reset(s.Last)
	rest := events[:0]
	for _, e := range events {
		switch verdict, _ := sequence.Observe(e.First, e.Last); verdict {
		case InOrder:
			rest = append(rest, e)
		case Gap:
			return nil, sequence, errBehind
		case Duplicate, OutOfOrder, Superseded, Invalid:
		}
	}
	if s.Last == 0 && sequence.Last() == 0 {
		sequence = st.sequence
	}
	if sequence.Last() < st.sequence.Last() && !s.Restart {
		return nil, sequence, errBehind
	}
	return rest, sequence, nil
}
