package instrument

import (
	"sync/atomic"
	"time"
)

// lastSeenResolution is how far the time of the newest message may lie behind the truth.
const lastSeenResolution = 250 * time.Millisecond

// lastSeen remembers when something last happened, coarsely: reading the clock would cost more than everything else on
// the path of a message. The first event, or the first few at once, read it and start a timer; until the timer fires,
// further events are two loads of what all processors share unchanged. While nothing happens no timer runs, so there is
// nothing to stop.
type lastSeen struct {
	fresh atomic.Bool
	unix  atomic.Int64 // nanoseconds; 0 is never
	since atomic.Int64 // time.Duration since the observer's epoch
	timer *time.Timer
}

func (l *lastSeen) init() {
	l.timer = time.AfterFunc(time.Hour, func() { l.fresh.Store(false) })
	l.timer.Stop()
}

// mark says that it happens now and returns when that is, since the epoch.
func (l *lastSeen) mark(epoch *time.Time) time.Duration {
	if !l.fresh.Load() {
		l.refresh(*epoch)
	}
	return time.Duration(l.since.Load())
}

// refresh reads the clock, and says only then that it need not be read for a while.
func (l *lastSeen) refresh(epoch time.Time) {
	now := time.Now()
	l.unix.Store(now.UnixNano())
	raise(&l.since, now.Sub(epoch))
	if l.fresh.CompareAndSwap(false, true) {
		l.timer.Reset(lastSeenResolution)
	}
}

// raise stores a time unless there is a later one. When there is nothing to do it only looks, because writing costs more.
func raise(to *atomic.Int64, d time.Duration) {
	for {
		old := to.Load()
		if old >= int64(d) || to.CompareAndSwap(old, int64(d)) {
			return
		}
	}
}

// seconds returns the Unix time of the last event, and false when there was none.
func (l *lastSeen) seconds() (float64, bool) {
	n := l.unix.Load()
	return float64(n) / 1e9, n != 0
}
