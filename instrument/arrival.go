package instrument

import (
	"sync/atomic"
	"time"
)

// arrival finds out when the message of a broadcast was written to the last recipient's socket. A delivery that is
// dropped is awaited no longer, and is no arrival.
//
// A connection that was slow before the message is not awaited either, unless most recipients are slow: one client that
// does not read would decide how long every broadcast takes. Slow connections have metrics of their own.
type arrival struct {
	// open is the number of deliveries that have not ended, of quick connections in the lower half and of slow ones in
	// the upper half. Both are below zero until Broadcast.End adds the deliveries that have begun.
	open   atomic.Int64
	all    bool         // slow connections are awaited, too; set before open is above zero
	latest atomic.Int64 // time.Duration from publishing to the newest write, plus 1; 0 is none
}

// slowOne is one delivery to a slow connection in arrival.open.
const slowOne = 1 << 32

// await says how many deliveries there are.
func (b *Broadcast) await(begun int64) {
	slow := b.slow.Load()
	quick := begun - slow
	b.all = slow > quick
	if open := b.open.Add(quick + slow*slowOne); begun > 0 && b.last(open, b.all) {
		b.arrived(time.Duration(b.latest.Load() - 1))
	}
}

// sent notes that a delivery was written, at a time of the recipient's observer.
func (b *Broadcast) sent(recipient *Observer, now time.Duration, state deliveryState) {
	if b == nil {
		return
	}
	took := max(b.observer.timeOf(recipient, now)-b.published, 0)
	// Storing costs more than loading. To a sixteenth it is as exact as the histogram's buckets.
	if latest := time.Duration(b.latest.Load() - 1); took-latest > took/16 {
		raise(&b.latest, took+1)
	}
	if b.end(state) {
		b.arrived(took)
	}
}

// left notes that a delivery was dropped.
func (b *Broadcast) left(state deliveryState) {
	if b != nil && b.end(state) {
		b.arrived(time.Duration(b.latest.Load() - 1))
	}
}

// end ends a delivery, and reports whether it was the last one that is awaited.
func (b *Broadcast) end(state deliveryState) bool {
	if state&behind != 0 {
		return b.last(b.open.Add(-slowOne), true)
	}
	return b.last(b.open.Add(-1), false)
}

// last reports whether no delivery is awaited any more, after one that was to a slow connection or not.
func (b *Broadcast) last(open int64, slow bool) bool {
	if slow {
		return open == 0 && b.all
	}
	return uint32(open) == 0 && (open == 0 || !b.all)
}

// arrived observes the time from publishing to the last write. It is below zero if nothing was written.
func (b *Broadcast) arrived(took time.Duration) {
	if took < 0 {
		return
	}
	o := b.observer
	observe(o.metrics.broadcastDelivery.WithLabelValues(), &o.metrics.arrivalThrottle, o.now(), took, b.spanContext())
}
