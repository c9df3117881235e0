package instrument

import (
	"sync"
	"time"
)

// waiting holds when things began to wait: messages in a send queue, pings without a pong. They mostly leave in the
// order in which they came. Each connection has its own lock, so a message or ping hardly ever waits for it.
type waiting struct {
	head  uint32
	n     uint32
	mu    sync.Mutex
	since []time.Duration // a ring, a power of two long, of which n are in use, from head on
}

// add remembers that something has been waiting since t. It does nothing and returns false if most are remembered
// already. It also returns for how long the oldest of the others has been waiting, 0 if there is none.
func (w *waiting) add(t time.Duration, most int) (added bool, oldest time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n > 0 {
		oldest = t - *w.at(0)
	}
	if int(w.n) >= most {
		return false, oldest
	}
	if int(w.n) == len(w.since) {
		w.grow()
	}
	*w.at(w.n) = t
	w.n++
	return true, oldest
}

// remove forgets one that has been waiting since t, and reports whether there was one. It looks at the oldest first,
// because most leave in order. Then it searches from the newest, because a full queue refuses the newest.
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

// left counts one less, and frees memory that a former backlog needed.
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

// length returns how many wait, and since when the oldest has been waiting.
func (w *waiting) length() (n int, since time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n == 0 {
		return 0, 0
	}
	since = *w.at(0)
	return int(w.n), since
}
