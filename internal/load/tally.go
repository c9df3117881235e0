package load

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sockscope/sockscope/internal/transport"
)

// longest is the longest time that is told from longer ones.
const longest = 10 * time.Minute

// tally counts what happens during a run, for all connections together.
type tally struct {
	open       atomic.Int64 // connections, now
	connected  atomic.Int64 // times that one was opened
	failed     atomic.Int64 // times that one was not
	unanswered atomic.Int64 // messages and provocations that were due

	due, sent         atomic.Int64 // messages
	acked, ackedTwice atomic.Int64
	traced            atomic.Int64 // acknowledged with a trace that can be looked up
	refused           atomic.Int64 // messages acknowledged with an error, or answered by one
	requestsRefused   atomic.Int64 // joining a room and the like
	strange           atomic.Int64 // what no server of this protocol should send

	batches                      atomic.Int64
	ticksMissing, ticksDisturbed atomic.Int64

	provoked, rebuffed atomic.Int64 // what has to be refused, and was

	ack, feed, lag, connect latencies

	shares []*share // one for each transport

	mu       sync.Mutex
	reasons  map[string]int // of what went wrong
	expected map[string]int // of what had to go wrong
}

// share counts what is delivered over one transport.
type share struct {
	over        transport.Name
	connections int
	delivered   atomic.Int64
	twice       atomic.Int64
	outOfOrder  atomic.Int64
	byHistory   atomic.Int64 // of those delivered, to who came back
	ended       atomic.Int64 // connections that ended though nobody had ended them here
	delivery    latencies
}

// maxReasons bounds the different reasons that are kept.
const maxReasons = 30

func newTally(s Scenario) *tally {
	t := &tally{
		ack: newLatencies(), feed: newLatencies(), lag: newLatencies(), connect: newLatencies(),
		reasons: make(map[string]int), expected: make(map[string]int),
	}
	for _, over := range transport.Names() {
		if n := s.connectionsOver(over); n > 0 || s.uses(over) {
			t.shares = append(t.shares, &share{over: over, connections: n, delivery: newLatencies()})
		}
	}
	return t
}

// share returns that of a transport that the scenario uses.
func (t *tally) share(over transport.Name) *share {
	for _, s := range t.shares {
		if s.over.String() == over.String() {
			return s
		}
	}
	return nil
}

// total adds up what the shares count.
func (t *tally) total(of func(*share) *atomic.Int64) (n int64) {
	for _, s := range t.shares {
		n += of(s).Load()
	}
	return n
}

func delivered(s *share) *atomic.Int64 { return &s.delivered }

func twiceDelivered(s *share) *atomic.Int64 { return &s.twice }

func outOfOrder(s *share) *atomic.Int64 { return &s.outOfOrder }

func byHistory(s *share) *atomic.Int64 { return &s.byHistory }

func endedEarly(s *share) *atomic.Int64 { return &s.ended }

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
	return t.acked.Load() + t.refused.Load() + t.rebuffed.Load() + t.total(delivered) // and no batches, which never end
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

// merged returns all that was recorded to any of them.
func merged(all ...latencies) latencies {
	sum := newLatencies()
	for _, l := range all {
		l.mu.Lock()
		sum.h.Merge(l.h)
		l.mu.Unlock()
	}
	return sum
}

func (l latencies) percentiles() Percentiles {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := func(p float64) float64 { return float64(l.h.ValueAtPercentile(p)) / 1e3 }
	return Percentiles{P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(l.h.Max()) / 1e3}
}
