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
	open       atomic.Int64 // connections, now
	connected  atomic.Int64 // times that one was opened
	failed     atomic.Int64 // times that one was not
	ended      atomic.Int64 // connections that ended though nobody had ended them here
	unanswered atomic.Int64 // messages and provocations that were due

	due, sent               atomic.Int64 // messages
	acked, ackedTwice       atomic.Int64
	traced                  atomic.Int64 // acknowledged with a trace that can be looked up
	refused                 atomic.Int64 // messages acknowledged with an error, or answered by one
	delivered, deliverTwice atomic.Int64
	outOfOrder              atomic.Int64
	byHistory               atomic.Int64 // deliveries to who came back
	requestsRefused         atomic.Int64 // joining a room and the like
	strange                 atomic.Int64 // what no server of this protocol should send

	batches                      atomic.Int64
	ticksMissing, ticksDisturbed atomic.Int64

	provoked, rebuffed atomic.Int64 // what has to be refused, and was

	ack, delivery, feed, lag, connect latencies

	mu       sync.Mutex
	reasons  map[string]int // of what went wrong
	expected map[string]int // of what had to go wrong
}

// maxReasons bounds the different reasons that are kept.
const maxReasons = 30

func newTally() *tally {
	return &tally{
		ack: newLatencies(), delivery: newLatencies(), feed: newLatencies(), lag: newLatencies(), connect: newLatencies(),
		reasons: make(map[string]int), expected: make(map[string]int),
	}
}

// note counts something that went wrong together with its reason.
func (t *tally) note(count *atomic.Int64, reason string) {
	count.Add(1)
	t.add(t.reasons, reason, 1)
}

// expect counts something that had to happen.
func (t *tally) expect(what string, n int) {
	if n > 0 {
		t.add(t.expected, what, n)
	}
}

func (t *tally) add(to map[string]int, reason string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := to[reason]; !known && len(to) >= maxReasons {
		reason = "other reasons"
	}
	to[reason] += n
}

// answers changes whenever something has come.
func (t *tally) answers() int64 {
	return t.acked.Load() + t.refused.Load() + t.rebuffed.Load() + t.delivered.Load() // and no batches, which never end
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
