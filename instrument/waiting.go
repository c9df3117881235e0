package instrument

import (
	"sync"
	"time"
)

// waiting holds the times since which things wait: messages in a send queue, pings without a pong. They mostly leave in
// the order in which they came. The lock is one connection's own, so a message or ping hardly ever meets it taken.
type waiting struct {
	mu    sync.Mutex
	since []time.Duration // a ring of which n are in use, from head on
	head  int
	n     int
}

// add remembers that something waits since t. What is beyond most is not remembered.
func (w *waiting) add(t time.Duration, most int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n >= most {
		return
	}
	if w.n == len(w.since) {
		w.grow()
	}
	*w.at(w.n) = t
	w.n++
}

// remove forgets one that waits since t.
func (w *waiting) remove(t time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.n {
		if *w.at(i) != t {
			continue
		}
		for ; i > 0; i-- { // the ones before move up
			*w.at(i) = *w.at(i - 1)
		}
		w.head = (w.head + 1) % len(w.since)
		if w.n--; w.n == 0 {
			w.shrink()
		}
		return
	}
}

func (w *waiting) at(i int) *time.Duration { return &w.since[(w.head+i)%len(w.since)] }

func (w *waiting) grow() {
	larger := make([]time.Duration, max(2*len(w.since), 4))
	for i := range w.n {
		larger[i] = *w.at(i)
	}
	w.since, w.head = larger, 0
}

// shrink gives the memory back that a backlog has needed.
func (w *waiting) shrink() {
	const keep = 16
	if len(w.since) > keep {
		w.since = nil
	}
	w.head = 0
}

// length returns how many wait and since when the one does that waits longest.
func (w *waiting) length() (n int, since time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n == 0 {
		return 0, 0
	}
	since = *w.at(0)
	return w.n, since
}
