package outbox

import (
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// entry is a frame that waits.
type entry struct {
	frame    *wire.Frame
	delivery instrument.Delivery
	next     *entry
}

// queue is a list rather than a ring, so that an empty one holds no memory whatever it has held before.
type queue struct {
	head, tail *entry
	n          int
	bytes      int // of the frames
}

func (q *queue) push(e *entry) {
	if q.n == 0 {
		q.head = e
	} else {
		q.tail.next = e
	}
	q.tail = e
	q.n++
	q.bytes += len(e.frame.Data)
}

// pop takes the oldest entry, nil if there is none.
func (q *queue) pop() *entry {
	e := q.head
	if e == nil {
		return nil
	}
	if q.head = e.next; q.head == nil {
		q.tail = nil
	}
	e.next = nil
	q.n--
	q.bytes -= len(e.frame.Data)
	return e
}

// replace puts a newer frame in the place of an entry's.
func (q *queue) replace(e, newer *entry) {
	q.bytes += len(newer.frame.Data) - len(e.frame.Data)
	e.frame, e.delivery = newer.frame, newer.delivery
}

// find returns the entry whose frame has that key, nil if there is none.
func (q *queue) find(key string) *entry {
	for e := q.head; e != nil; e = e.next {
		if e.frame.Key == key {
			return e
		}
	}
	return nil
}
