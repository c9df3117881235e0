package instrument

import (
	"sync/atomic"
	"time"
)

// limiter allows a number of events per second, in bursts of up to the number for one second. It is a leaky bucket
// reduced to one number, the time at which the bucket will be empty, so it needs neither a lock nor a timer.
type limiter struct {
	interval time.Duration // between two events at the full rate; 0 allows none
	empty    atomic.Int64  // time.Duration since the observer's epoch
}

func (l *limiter) init(perSecond int) {
	if perSecond > 0 {
		l.interval = max(time.Second/time.Duration(perSecond), 1)
	}
}

func (l *limiter) allow(now time.Duration) bool {
	if l.interval == 0 {
		return false
	}
	for {
		old := l.empty.Load()
		next := max(old, int64(now)) + int64(l.interval)
		if next-int64(now) > int64(time.Second) {
			return false
		}
		if l.empty.CompareAndSwap(old, next) {
			return true
		}
	}
}

// exemplarInterval is how often one histogram child takes a new exemplar. Making one costs about a microsecond and some
// allocations, and a scrape sees only the last one per bucket.
const exemplarInterval = 100 * time.Millisecond

// throttle lets one event through per exemplarInterval. For all others it costs one load.
type throttle struct {
	next atomic.Int64 // time.Duration since the observer's epoch
}

func (t *throttle) allow(now time.Duration) bool {
	next := t.next.Load()
	return int64(now) >= next && t.next.CompareAndSwap(next, int64(now+exemplarInterval))
}
