package backplane

import (
	"hash/maphash"
	"sync"
)

// maxEchoes is how many messages may be on their way to Redis and back: many times what a fast node publishes in the
// meantime. They take about 150 KiB.
const maxEchoes = 4096

// echoes recognises what this node has published when it comes back, because neither Redis nor the envelope says who
// has published a message. Messages are told apart by their bytes, the time in the envelope included. Those that are
// the same nevertheless, whoever published them, come back as often as they were published, so it doesn't matter which
// is which. What never comes back is forgotten in the course of time, and can't be mistaken for anything meanwhile.
type echoes struct {
	seed maphash.Seed

	mu       sync.Mutex
	expected map[uint64]int    // how often
	latest   [maxEchoes]uint64 // a ring, of which some have come back
	next     int
}

func newEchoes() *echoes {
	return &echoes{seed: maphash.MakeSeed(), expected: map[uint64]int{}}
}

// expect is to be called before the message is published.
func (e *echoes) expect(channel string, message []byte) {
	id := e.identify(channel, message)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.remove(e.latest[e.next])
	e.latest[e.next] = id
	e.next = (e.next + 1) % maxEchoes
	e.expected[id]++
}

// take says whether a message that has come is one that was expected.
func (e *echoes) take(channel string, message []byte) bool {
	id := e.identify(channel, message)
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.remove(id)
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
