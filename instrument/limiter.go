package instrument

import (
	"sync/atomic"
	"time"
)

// limiter allows a number of events per second, in bursts of up to one second's worth. It is a leaky bucket reduced to
// one number, the time at which the bucket will be empty, so that it needs neither lock nor timer.
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
// allocations; a scrape sees the last one per bucket only.
const exemplarInterval = 100 * time.Millisecond

// throttle lets one event through per exemplarInterval, at the price of one load when it does not.
type throttle struct {
	next atomic.Int64 // time.Duration since the observer's epoch
}

func (t *throttle) allow(now time.Duration) bool {
	next := t.next.Load()
	return int64(now) >= next && t.next.CompareAndSwap(next, int64(now+exemplarInterval))
}
