package client

import (
	"log/slog"
	"time"

	"github.com/sockscope/sockscope/instrument"
)

// begin is called once the streams are subscribed to: only then a snapshot can meet their events.
func (s *session) begin() {
	now := time.Now()
	for _, st := range s.c.all {
		st.quiet = true
		s.progressed(st, now)
		if st.reconciles() {
			st.settle()
			s.reconcile(st, s.trigger, nil)
		} else {
			s.c.enter(st, Live, nil)
		}
	}
}

// receive takes the events of a message.
func (s *session) receive(m message) {
	events := s.events[:0]
	err := guarded(func() (err error) {
		events, err = s.c.feed.Decode(events, m.typ, m.payload)
		return err
	})
	s.events = events
	if err != nil {
		s.c.failed(instrument.ErrorDecode, recordNotDecoded, err, slog.Int("bytes", len(m.payload)))
		return
	}
	if len(events) > 0 && !s.heardFrom {
		s.heardFrom = true
		s.c.metrics.firstMessage.Observe(m.at.Sub(s.began).Seconds())
	}
	for _, e := range events {
		s.event(s.c.stream(e.Stream), e, m.at)
	}
}

// event counts an event and then holds it back, hands it to the handler, or leaves it out.
func (s *session) event(st *stream, e Event, at time.Time) {
	e.Received = at
	numbered := e
	if st == s.c.other {
		numbered.First, numbered.Last = 0, 0 // of many streams, so there is no sequence to follow
	}
	verdict := st.received(&numbered, at)
	news := verdict == InOrder || verdict == Gap
	stale := State(st.state.Load()) == Stale
	if news {
		s.newsAt = at
		st.stale.Store(false)
		s.progressed(st, at)
	}
	switch {
	case st.phase == skipping || st.overflow:
		// The snapshot that is fetched later will contain it.
	case st.phase != live && st.phase != restoring:
		if news || verdict == OutOfOrder { // a late event may be what the snapshot lacks
			s.hold(st, e)
		}
	case !news:
		// It has been handled, or comes too late to be.
	case verdict == Gap && st.reconciles():
		s.reconcile(st, triggerGap, errGap)
		s.hold(st, e)
	case stale && st.reconciles():
		s.reconcile(st, triggerStale, nil)
		s.hold(st, e)
	default:
		if stale {
			s.c.enter(st, Live, nil)
		}
		s.handOver(st, e)
	}
}

// progressed notes that a stream had something new to say, or that it can be expected to from now on.
func (s *session) progressed(st *stream, at time.Time) {
	if at.After(st.progress) { // a message may have waited longer than the time in which nobody has read
		st.progress = at
	}
	if st.Expect > 0 && st.quiet {
		st.quiet = false
		s.wakeAt(at.Add(st.Expect))
	}
}

// hold keeps an event for the time after the snapshot.
func (s *session) hold(st *stream, e Event) {
	if st.hold(e, s.c.config.bufferSize) || st.phase == away {
		return // an overflow while there is no subscription yet is made good by the snapshot that follows
	}
	s.retry(st, resultOverflow, errOverflow)
}

// handOver gives an event to the handler, or skips it if the handler is too slow.
func (s *session) handOver(st *stream, e Event) {
	if s.push(item{stream: st, epoch: st.epoch, event: e}) {
		st.dropping = false
		return
	}
	if st.reconciles() {
		s.skip(st)
		return
	}
	if !st.dropping {
		st.dropping = true
		st.metrics.gaps.Inc()
	}
	st.metrics.missing.Add(float64(width(e)))
	s.c.records.write(recordSkipped, slog.String("stream", st.Name))
}

// width is how many sequence numbers an event stands for.
func width(e Event) uint64 {
	if e.First == 0 || e.Last <= e.First {
		return 1
	}
	return e.Last - e.First + 1
}

// skip throws away what the handler has not come to, and lets the stream go on from a snapshot when it has caught up.
func (s *session) skip(st *stream) {
	s.overtake(st, triggerSlow, skipping, errSlow)
	st.skipBefore(st.epoch)
	s.c.records.write(recordSkipped, slog.String("stream", st.Name))
	s.c.starved.Store(true)
	if s.c.caughtUp() {
		s.c.signal() // before the handler could know that it was waited for
	}
}

// push puts an item into the handler's queue and says whether there was room in time. While it waits nobody reads.
func (s *session) push(it item) bool {
	select {
	case s.c.queue <- it:
		return true
	default:
	}
	if s.c.config.queueWait == 0 {
		return false
	}
	s.c.stalls.Add(1)
	defer s.resume()
	timer := time.NewTimer(s.c.config.queueWait)
	defer timer.Stop()
	select {
	case s.c.queue <- it:
		return true
	case <-timer.C:
		return false
	case <-s.ctx.Done():
		return true // the connection ends, and nothing that was received on it matters any more
	}
}

// resume is called after a time in which nobody has read: no stream can be blamed for its silence then.
func (s *session) resume() {
	s.c.stalls.Add(1)
	now := time.Now()
	for _, st := range s.c.all {
		st.progress = now
	}
}
