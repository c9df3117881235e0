package backplane

import (
	"hash/maphash"
	"sync"
	"time"
)

// maxEchoes is how many messages may be on their way to Redis and back: many times what a fast node publishes in the
// meantime. They take about 150 KiB.
const maxEchoes = 4096

// echoes recognises what this node has published when it comes back, because neither Redis nor the envelope says who
// has published a message. Messages are told apart by their bytes, the time in the envelope included. Those that are
// the same nevertheless, whoever published them, come back as often as they were published, so it doesn't matter which
// is which. What never comes back is forgotten in the course of time, and can't be mistaken for anything meanwhile.
//
// One message at a time is watched: it has to come back.
type echoes struct {
	seed maphash.Seed

	mu       sync.Mutex
	expected map[uint64]int    // how often
	latest   [maxEchoes]uint64 // a ring, of which some have come back
	next     int
	watches  uint64 // so far
	watched  watch
	proven   time.Time // when the last watched message that came back was published
}

// A watch is of a message that has to come back. It is zero if there is none.
type watch struct {
	number    uint64 // from 1
	id        uint64
	channel   string
	published time.Time     // no later than it was
	taken     time.Time     // when Redis has taken it, zero until then
	settled   chan struct{} // closed when it has come back, or need not; nil until somebody waits
}

func newEchoes() *echoes {
	return &echoes{seed: maphash.MakeSeed(), expected: map[uint64]int{}}
}

// expect is to be called before the message is published. If it has to come back and no other one is watched, it
// returns the number of the watch, otherwise 0.
func (e *echoes) expect(channel string, message []byte, hasTo bool) (number uint64) {
	id := e.identify(channel, message)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.remove(e.latest[e.next])
	e.latest[e.next] = id
	e.next = (e.next + 1) % maxEchoes
	e.expected[id]++
	if !hasTo || e.watched.number != 0 {
		return 0
	}
	e.watches++
	e.watched = watch{number: e.watches, id: id, channel: channel, published: time.Now()}
	return e.watches
}

// sent tells whether Redis has taken the message of a watch. If it has not, or nobody knows, it need not come back.
func (e *echoes) sent(number uint64, taken bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if number == 0 || e.watched.number != number {
		return
	}
	if !taken {
		e.settle()
		return
	}
	e.watched.taken = time.Now()
}

// take says whether a message that has come is one that was expected.
func (e *echoes) take(channel string, message []byte) bool {
	id := e.identify(channel, message)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.watched.number != 0 && e.watched.id == id {
		e.proven = e.watched.published
		e.settle()
	}
	return e.remove(id)
}

// settle ends the watch. The caller holds the lock.
func (e *echoes) settle() {
	if e.watched.settled != nil {
		close(e.watched.settled)
	}
	e.watched = watch{}
}

// left says that nothing has to come back from these channels any more.
func (e *echoes) left(channels []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, channel := range channels {
		if e.watched.number != 0 && e.watched.channel == channel {
			e.settle()
		}
	}
}

// begin forgets what was watched and proven on an earlier connection.
func (e *echoes) begin() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.proven = time.Time{}
	e.settle()
}

// proof returns, once, when the last watched message that came back was published, and what is watched now.
func (e *echoes) proof() (proven time.Time, w watch) {
	e.mu.Lock()
	defer e.mu.Unlock()
	proven, e.proven = e.proven, time.Time{}
	if e.watched.number != 0 && e.watched.settled == nil {
		e.watched.settled = make(chan struct{})
	}
	return proven, e.watched
}

func (e *echoes) remove(id uint64) bool {
	switch n := e.expected[id]; n {
	case 0:
		return false
	case 1:
		delete(e.expected, id)
	default:
		e.expected[id] = n - 1
	}
	return true
}

func (e *echoes) identify(channel string, message []byte) uint64 {
	return maphash.Bytes(e.seed, message) ^ maphash.String(e.seed, channel)
}
