package instrument

import (
	"sync/atomic"
	"time"
)

// lastSeenResolution is the largest error of the time of the newest message.
const lastSeenResolution = 250 * time.Millisecond

// lastSeen remembers coarsely when something last happened, because reading the clock costs more than everything else
// on the path of a message. The first event reads the clock and starts a timer, as do a few that come at the same
// moment. Until the timer fires, further events only load two values that do not change. No timer runs while nothing
// happens, so there is nothing to stop.
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

// mark notes that it happens now and returns the time since the epoch.
func (l *lastSeen) mark(epoch *time.Time) time.Duration {
	if !l.fresh.Load() {
		l.refresh(*epoch)
	}
	return time.Duration(l.since.Load())
}

// refresh reads the clock, and only afterwards notes that it need not be read for a while.
func (l *lastSeen) refresh(epoch time.Time) {
	now := time.Now()
	l.unix.Store(now.UnixNano())
	raise(&l.since, now.Sub(epoch))
	if l.fresh.CompareAndSwap(false, true) {
		l.timer.Reset(lastSeenResolution)
	}
}

// raise stores a time unless a later one is stored. It loads before it stores, because storing costs more.
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
