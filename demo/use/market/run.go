package market

import (
	"context"
	"time"
)

const (
	// DefaultWindow is how long prices are gathered where nobody says.
	DefaultWindow = time.Second
	// maxWindows bounds a batch: what is further behind the present is skipped.
	maxWindows = 5
)

// Batch is what happened in one window of time, or in several when the windows before were missed.
type Batch struct {
	// FirstSeq and LastSeq are the range of the ticks, of which every symbol has each.
	FirstSeq uint64 `json:"firstSeq"`
	LastSeq  uint64 `json:"lastSeq"`
	// Skipped is how many numbers right before FirstSeq are left out, because the process slept or its clock was put
	// forward.
	Skipped uint64 `json:"skipped,omitempty"`
	// Ticks are in order of their numbers.
	Ticks []Tick `json:"ticks"`
}

// Run calls publish at the end of each window of time with the ticks of it, until ctx is done. The default window is
// one second. Windows are counted from the Unix epoch, so that all nodes publish the same batches.
//
// The batches continue each other. If more than five windows went by since the last batch, the next one holds the last
// five and says how much it skipped. If the clock was put back, nothing is published until it has caught up. A window
// in which nothing ticks gives no batch. While publish takes its time the next batch waits, and holds more.
func (m *Market) Run(ctx context.Context, every time.Duration, publish func(Batch)) {
	if every <= 0 {
		every = DefaultWindow
	}
	f := m.newFeed(every, time.Now())
	timer := time.NewTimer(f.rest(time.Now()))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if b, ok := f.batch(time.Now()); ok {
			publish(b)
		}
		// Measured anew each time: a timer that repeats knows nothing of the clock.
		timer.Reset(f.rest(time.Now()))
	}
}

// feed is the state of one Run.
type feed struct {
	market *Market
	every  time.Duration
	next   uint64 // the first tick that wasn't published yet
}

// newFeed returns a feed that begins with the window that now is in.
func (m *Market) newFeed(every time.Duration, now time.Time) *feed {
	f := &feed{market: m, every: every}
	f.next = m.At(f.windowStart(now)) + 1
	return f
}

// batch returns what there is to publish at time now.
func (f *feed) batch(now time.Time) (Batch, bool) {
	end := f.windowStart(now) // where the last complete window ended
	last := f.market.At(end)
	if last < f.next {
		return Batch{}, false
	}
	first := max(f.next, f.market.At(end.Add(-maxWindows*f.every))+1)
	b := Batch{FirstSeq: first, LastSeq: last, Skipped: first - f.next, Ticks: f.market.ticks(first, last)}
	f.next = last + 1
	return b, true
}

// rest returns how long the present window still lasts.
func (f *feed) rest(now time.Time) time.Duration {
	return f.windowStart(now).Add(f.every).Sub(now)
}

func (f *feed) windowStart(t time.Time) time.Time {
	ns := t.UnixNano()
	return time.Unix(0, ns-ns%int64(f.every))
}

// ticks returns the ticks first to last of all symbols.
func (m *Market) ticks(first, last uint64) []Tick {
	instruments := make([]instrument, len(m.symbols))
	for i, s := range m.symbols {
		instruments[i] = instrumentNamed(s)
	}
	ticks := make([]Tick, 0, (last-first+1)*uint64(len(instruments)))
	for n := first; n <= last; n++ {
		for _, i := range instruments {
			ticks = append(ticks, m.tick(i, n))
		}
	}
	return ticks
}
