package instrument

import (
	"sync"
	"time"
)

// waiting holds the times since which things wait: messages in a send queue, pings without a pong. They mostly leave in
// the order in which they came. The lock is one connection's own, so a message or ping hardly ever meets it taken.
type waiting struct {
	head  uint32
	n     uint32
	mu    sync.Mutex
	since []time.Duration // a ring, a power of two long, of which n are in use, from head on
}

// add remembers that something waits since t, and says whether it does: what is beyond most is not remembered.
func (w *waiting) add(t time.Duration, most int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if int(w.n) >= most {
		return false
	}
	if int(w.n) == len(w.since) {
		w.grow()
	}
	*w.at(w.n) = t
	w.n++
	return true
}

// remove forgets one that waits since t, and reports whether there was one. It looks at the oldest first, because most
// leave in order, and then from the newest on, which is the one that a full queue does not take.
func (w *waiting) remove(t time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n == 0 {
		return false
	}
	if *w.at(0) == t {
		w.head++
		w.left()
		return true
	}
	for i := w.n - 1; i > 0; i-- {
		if *w.at(i) != t {
			continue
		}
		for ; i < w.n-1; i++ { // the ones behind move up
			*w.at(i) = *w.at(i + 1)
		}
		w.left()
		return true
	}
	return false
}

// left counts one less, and gives the memory back that a backlog has needed.
func (w *waiting) left() {
	const keep = 16
	if w.n--; w.n > 0 {
		return
	}
	if len(w.since) > keep {
		w.since = nil
	}
	w.head = 0
}

func (w *waiting) at(i uint32) *time.Duration { return &w.since[int(w.head+i)&(len(w.since)-1)] }

func (w *waiting) grow() {
	larger := make([]time.Duration, max(2*len(w.since), 4))
	for i := range w.n {
		larger[i] = *w.at(i)
	}
	w.since, w.head = larger, 0
}

// length returns how many wait and since when the one does that waits longest.
func (w *waiting) length() (n int, since time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n == 0 {
		return 0, 0
	}
	since = *w.at(0)
	return int(w.n), since
}
