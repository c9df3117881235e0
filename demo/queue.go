package demo

import (
	"errors"
	"sync"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

var (
	errQueueFull   = errors.New("send queue is full")
	errQueueClosed = errors.New("send queue is closed")
)

// queued is a frame in a queue, with what measures how long it stays there.
type queued struct {
	*wire.Frame
	delivery instrument.Delivery
}

// queue holds the frames that wait to be written to one connection. Putting
// never blocks: a peer that reads slowly must not hold up who writes to it.
type queue struct {
	// frames is closed after the last frame, so that who ranges over it gets
	// all that was put and then ends.
	frames chan queued

	mu     sync.Mutex
	closed bool
}

func newQueue(size int) *queue { return &queue{frames: make(chan queued, size)} }

func (q *queue) put(f queued) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return errQueueClosed
	}
	select {
	case q.frames <- f:
		return nil
	default:
		return errQueueFull
	}
}

// close ends the queue: what is in it can still be taken.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		close(q.frames)
	}
}
