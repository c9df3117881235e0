package outbox

import "sync"

// Writers write the frames that wait in outboxes. A few goroutines serve thousands of peers: the number grows only when
// all writers are busy or blocked by their peers, and falls to none when no frame waits. Frames that are queued for a
// peer before a writer reaches its outbox are written together.
//
// The zero Writers is ready for use.
type Writers struct {
	mu         sync.Mutex
	head, tail *Outbox // those that wait for a writer, in the order in which they came to have something to write
	ready      bool    // a writer has been started and has not begun
	batch      Batch   // memory of a writer that has ended, for the next one
}

// add has what waits in an outbox be written. It must not have been added already.
func (w *Writers) add(o *Outbox) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.push(o)
	w.start()
}

// start has a writer be ready. The lock is held.
func (w *Writers) start() {
	if !w.ready {
		w.ready = true
		go w.write()
	}
}

// write is a writer.
func (w *Writers) write() {
	o, batch := w.begin()
	for o != nil {
		again := o
		if !o.write(batch) {
			again = nil
		}
		o = w.next(again)
	}
	w.end(batch)
}

// begin returns the first outbox for the writer that was ready, nil if none waits any more, and memory for batches.
func (w *Writers) begin() (*Outbox, Batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ready = false
	o := w.pop()
	if o == nil {
		return nil, nil
	}
	batch := w.batch
	w.batch = nil
	if batch == nil {
		batch = make(Batch, 0, mostFrames)
	}
	return o, batch
}

// next returns the next outbox, nil if none waits. One in which more waits has to wait for its turn, again.
func (w *Writers) next(again *Outbox) *Outbox {
	w.mu.Lock()
	defer w.mu.Unlock()
	if again != nil {
		w.push(again)
	}
	return w.pop()
}

func (w *Writers) end(batch Batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if batch != nil {
		w.batch = batch
	}
}

func (w *Writers) push(o *Outbox) {
	if w.head == nil {
		w.head = o
	} else {
		w.tail.next = o
	}
	w.tail = o
}

func (w *Writers) pop() *Outbox {
	o := w.head
	if o == nil {
		return nil
	}
	w.head, o.next = o.next, nil
	if w.head == nil {
		w.tail = nil
	} else {
		w.start() // this one may be kept waiting
	}
	return o
}
