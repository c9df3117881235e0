package telemetry

import (
	"sync"
	"sync/atomic"
)

// Bounds of the queue. It is full when either is reached. OTEL_BLRP_MAX_QUEUE_SIZE changes the first.
const (
	maxQueueRecords = 8192
	maxQueueBytes   = 16 << 20
)

// queue holds log records until an exporter takes them. put never waits: a record that does not fit is dropped and
// counted. The oldest records are kept, because they show how an outage began.
type queue[T any] struct {
	counts *logCounts
	items  chan item[T]
	bytes  atomic.Int64

	mu     sync.RWMutex // held while putting, so that nothing is put into a closed channel
	closed bool
}

type item[T any] struct {
	value T
	bytes int64
}

func newQueue[T any](counts *logCounts, records int) *queue[T] {
	return &queue[T]{counts: counts, items: make(chan item[T], records)}
}

// put adds v, which has about that many bytes.
func (q *queue[T]) put(v T, bytes int) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	i := item[T]{v, int64(bytes)}
	if q.closed || !q.reserve(i.bytes) {
		q.counts.dropped.Inc()
		return
	}
	q.counts.undelivered.Add(1) // before the receiver can have settled it
	select {
	case q.items <- i:
	default:
		q.bytes.Add(-i.bytes)
		q.counts.settle(1, abandoned)
	}
}

func (q *queue[T]) reserve(bytes int64) bool {
	if q.bytes.Add(bytes) <= maxQueueBytes {
		return true
	}
	q.bytes.Add(-bytes)
	return false
}

// take returns the value of a received item and frees its room.
func (q *queue[T]) take(i item[T]) T {
	q.bytes.Add(-i.bytes)
	return i.value
}

// close lets the receiver of items finish. Records that are put later are dropped.
func (q *queue[T]) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		close(q.items)
	}
}
