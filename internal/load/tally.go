package load

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest is the longest time that is told from longer ones.
const longest = 10 * time.Minute

// tally counts what happens during a run, for all connections together.
type tally struct {
	sent, skipped           atomic.Int64 // skipped: due, but the connection had ended
	acked, ackedTwice       atomic.Int64
	traced                  atomic.Int64 // acknowledged with a trace that can be looked up
	refused                 atomic.Int64 // acknowledged with an error, or answered by one
	expected                atomic.Int64 // deliveries of what was sent
	delivered, deliverTwice atomic.Int64
	strange                 atomic.Int64 // what no server of this protocol should send
	ended                   atomic.Int64 // connections that ended before the run did

	ack, delivery, lag latencies

	mu      sync.Mutex
	reasons map[string]int // of refusals, ends and strange things
}

// maxReasons bounds the different reasons that are kept.
const maxReasons = 20

func newTally() *tally {
	return &tally{ack: newLatencies(), delivery: newLatencies(), lag: newLatencies(), reasons: make(map[string]int)}
}

// note counts something that went wrong together with its reason.
func (t *tally) note(count *atomic.Int64, reason string) {
	count.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.reasons[reason]; !known && len(t.reasons) >= maxReasons {
		reason = "other reasons"
	}
	t.reasons[reason]++
}

// settled reports whether nothing more is to come.
func (t *tally) settled() bool {
	return t.acked.Load()+t.refused.Load() >= t.sent.Load() && t.delivered.Load() >= t.expected.Load()
}

// latencies is a histogram that many can record to.
type latencies struct {
	mu *sync.Mutex
	h  *hdrhistogram.Histogram
}

func newLatencies() latencies {
	return latencies{mu: new(sync.Mutex), h: hdrhistogram.New(1, longest.Microseconds(), 3)}
}

func (l latencies) record(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Within its bounds there is no error.
	_ = l.h.RecordValue(max(1, min(d, longest).Microseconds()))
}

// Percentiles are of times in milliseconds.
type Percentiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

func (l latencies) percentiles() Percentiles {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := func(p float64) float64 { return float64(l.h.ValueAtPercentile(p)) / 1e3 }
	return Percentiles{P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(l.h.Max()) / 1e3}
}

// once remembers which of many things have happened.
type once []uint64

func newOnce(n int) once { return make(once, (n+63)/64) }

// first reports whether this is the first time for thing i.
func (o once) first(i int) bool {
	if i < 0 || i/64 >= len(o) || o[i/64]&(1<<(i%64)) != 0 {
		return false
	}
	o[i/64] |= 1 << (i % 64)
	return true
}
