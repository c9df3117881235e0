package backplane

import (
	"hash/maphash"
	"sync"
	"time"
)

// maxEchoes is the number of messages that may be on their way to Redis and back. It is many times the number that a
// fast node publishes in that time. They take about 150 KiB.
const maxEchoes = 4096

// echoes recognises messages of this node when they come back, because neither Redis nor the envelope says who
// published a message. It compares the bytes of messages, which include the time in the envelope. Equal messages of
// several publishers come back as often as they were published, so it doesn't matter which is which. A message that
// never comes back is forgotten after a while, and until then nothing else can be mistaken for it.
//
// One message at a time is watched, which means that it has to come back.
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

// A watch describes the message that has to come back. It is zero if there is none.
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

// expect must be called before the message is published. If the message has to come back and no other message is
// watched, it returns the number of the watch, otherwise 0.
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

// sent says whether Redis has taken the message of a watch. If it has not, or that is unknown, the message need not
// come back.
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

// take says whether a received message was expected.
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

// begin forgets the watches and proofs of an earlier connection.
func (e *echoes) begin() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.proven = time.Time{}
	e.settle()
}

// proof returns, once, the time when the last watched message that came back was published, and the present watch.
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
