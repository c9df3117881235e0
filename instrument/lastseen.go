package instrument

import (
	"sync/atomic"
	"time"
)

// lastSeenResolution is how far the exported time of the newest message may lie behind the truth.
const lastSeenResolution = 250 * time.Millisecond

// lastSeen remembers when something last happened, coarsely: reading the clock would cost more than everything else on
// the path of a message. The first event reads it and starts a timer; until the timer fires, further events are one load
// of a value that all cores share unchanged. While nothing happens no timer runs, so there is nothing to stop.
type lastSeen struct {
	fresh atomic.Bool
	nanos atomic.Int64 // Unix time; 0 is never
	timer *time.Timer
}

func (l *lastSeen) init() {
	l.timer = time.AfterFunc(time.Hour, func() { l.fresh.Store(false) })
	l.timer.Stop()
}

func (l *lastSeen) mark() {
	if l.fresh.Load() || !l.fresh.CompareAndSwap(false, true) {
		return
	}
	l.nanos.Store(time.Now().UnixNano())
	l.timer.Reset(lastSeenResolution)
}

// seconds returns the Unix time of the last event, and false when there was none.
func (l *lastSeen) seconds() (float64, bool) {
	n := l.nanos.Load()
	return float64(n) / 1e9, n != 0
}
