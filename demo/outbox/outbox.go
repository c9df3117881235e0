package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// DefaultCapacity is how many frames may wait where nobody says.
const DefaultCapacity = 256

// ErrExpired is what Config.Write returns, wrapped or not, for a frame that is not worth being written any more. The
// frame counts as dropped for that reason, and the next one is written.
var ErrExpired = errors.New("frame is not worth being written any more")

// Policy says what happens to a frame for which there is no room. With any policy, a frame that supersedes takes the
// place of the one with its key that waits, see [wire.Frame.Supersedes].
type Policy uint8

const (
	// Disconnect gives the connection up: the peer has to come back and start afresh rather than miss messages without
	// knowing. Nothing more is taken from then on, so the peer never sees a gap.
	Disconnect Policy = iota
	// DropOldest makes room by dropping the frame that has waited longest. It suits what is outdated soon, and peers
	// that can live with gaps.
	DropOldest
	// Coalesce keeps only the newest frame of each [wire.Frame.Key]: it takes the place of the one that waits, whether
	// the queue is full or not, so that no key waits longer because it changes often. Frames of one key stay in order,
	// and so do frames without a key. When a frame has no key, or none of its key waits, a full queue disconnects.
	Coalesce
)

// Config says how an Outbox behaves.
type Config struct {
	// Capacity is how many frames may wait besides the one that is being written; DefaultCapacity by default. If
	// several are written together, those behind the first still count. They may have as many bytes as that many
	// messages of
	// [wire.MaxFrameBytes], which only pieces of history exceed; one of any size may wait alone.
	Capacity int
	// Policy is what happens when that much waits.
	Policy Policy
	// Write writes frames to the peer, and notes in the batch what became of each. It is required, may block, needs a
	// deadline of its own, and is never called twice at the same time. After an error other than ErrExpired it is not
	// called again.
	Write func(Batch)
	// Writers call Write. A server has the same ones for all of its outboxes; by default there are some for this one.
	Writers *Writers
	// Full is called once, by the Put for which there was no room, when the connection is to be given up. It must not
	// block. The frames that wait are written meanwhile, until Abort.
	Full func()
	// Failed is called once, when Write has failed and all that waited was dropped. It must not call Close, which would
	// wait for it.
	Failed func(error)
	// Conn observes the connection; nil leaves it unobserved.
	Conn *instrument.Conn
}

// An Outbox is the bounded send queue of one connection. Its methods are safe for concurrent use.
type Outbox struct {
	cfg Config

	next *Outbox // of those that wait for a writer, whose lock protects it

	mu      sync.Mutex
	queue   queue
	writing bool                  // it waits for a writer or has one; otherwise nothing waits
	taken   int                   // frames that are being written
	refusal instrument.DropReason // why nothing more is taken, 0 while something is
	unsent  instrument.DropReason // why what waits will not be written, 0 while it will be
	err     error                 // of the write that failed
	ended   chan struct{}         // closed when nothing is being written any more; made by Close if something is
}

// New returns an empty Outbox. It tells the connection's observation its capacity.
func New(cfg Config) *Outbox {
	if cfg.Capacity <= 0 {
		cfg.Capacity = DefaultCapacity
	}
	if cfg.Writers == nil {
		cfg.Writers = new(Writers)
	}
	cfg.Conn.SetQueueCapacity(cfg.Capacity)
	return &Outbox{cfg: cfg}
}

// Put takes a frame to be written after those put before it, and reports whether it did; a frame that is not taken is
// counted as dropped. It never blocks. The broadcast is the one that the frame is part of, nil if none.
func (o *Outbox) Put(f *wire.Frame, b *instrument.Broadcast) bool {
	e := &entry{frame: f, delivery: b.BeginDelivery(o.cfg.Conn)}
	o.mu.Lock()
	open := o.refusal == 0
	taken := open && o.admit(e)
	refusal := o.refusal
	first := taken && !o.writing
	o.writing = o.writing || taken
	o.mu.Unlock()
	if first {
		o.cfg.Writers.add(o)
	}
	if taken {
		return true
	}
	b.Dropped(e.delivery, refusal)
	if open && o.cfg.Full != nil {
		o.cfg.Full()
	}
	return false
}

// admit queues the entry if the policy finds a place for it, and otherwise lets no other in.
func (o *Outbox) admit(e *entry) bool {
	if e.frame.Key != "" && (e.frame.Supersedes || o.cfg.Policy == Coalesce) {
		if older := o.queue.find(e.frame.Key); older != nil {
			older.delivery.Dropped(instrument.DropSuperseded)
			o.queue.replace(older, e)
			return true
		}
	}
	for o.full(len(e.frame.Data)) {
		if o.cfg.Policy != DropOldest {
			o.refusal, o.unsent = instrument.DropQueueFull, instrument.DropSlowConsumer
			return false
		}
		o.queue.pop().delivery.Dropped(instrument.DropQueueFull)
	}
	o.queue.push(e)
	return true
}

// full reports whether there is no room for another frame of that size.
func (o *Outbox) full(size int) bool {
	return o.queue.n+max(0, o.taken-1) == o.cfg.Capacity ||
		o.queue.n > 0 && o.queue.bytes+size > o.cfg.Capacity*wire.MaxFrameBytes
}

// write writes a batch of what waits, and reports whether more does. It works in the memory of the batch given, and
// leaves nothing there.
func (o *Outbox) write(batch Batch) (more bool) {
	if batch = o.take(batch); len(batch) > 0 {
		o.cfg.Write(batch)
		o.wrote(batch)
		clear(batch)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.taken = 0
	o.writing = o.queue.n > 0
	if !o.writing && o.ended != nil {
		close(o.ended)
	}
	return o.writing
}

// take moves what is to be written together from the queue to the batch: some of what waits, so that there always is
// something that a policy can drop.
func (o *Outbox) take(batch Batch) Batch {
	o.mu.Lock()
	defer o.mu.Unlock()
	most, size := max(1, min(cap(batch), o.cfg.Capacity/4)), 0
	for e := o.queue.head; e != nil && len(batch) < most; e = o.queue.head {
		if size += len(e.frame.Data); size > mostBytes && len(batch) > 0 {
			break
		}
		o.queue.pop()
		batch = append(batch, Entry{Frame: e.frame, delivery: e.delivery})
	}
	o.taken = len(batch)
	return batch
}

// wrote ends the deliveries of a batch, as Write has noted.
func (o *Outbox) wrote(batch Batch) {
	for i := range batch {
		switch e := &batch[i]; {
		case e.Err == nil:
			e.delivery.Sent(e.Type, e.Size)
		case errors.Is(e.Err, ErrExpired):
			e.delivery.Dropped(instrument.DropExpired)
		default:
			o.fail(batch[i:], e.Err)
			return
		}
	}
}

// fail drops what a failed write has left of a batch, and what waits.
func (o *Outbox) fail(rest Batch, err error) {
	o.mu.Lock()
	o.err = err
	o.drop(instrument.DropClosed)
	for i := range rest {
		rest[i].delivery.Dropped(o.unsent)
	}
	o.mu.Unlock()
	if o.cfg.Failed != nil {
		o.cfg.Failed(err)
	}
}

// drop empties the queue for good. The first reason for it counts.
func (o *Outbox) drop(r instrument.DropReason) {
	o.refusal = instrument.DropClosed
	if o.unsent == 0 {
		o.unsent = r
	}
	for e := o.queue.pop(); e != nil; e = o.queue.pop() {
		e.delivery.Dropped(o.unsent)
	}
}

// Close takes no more frames and returns when those that wait were written. If ctx ends before, they are dropped and
// Close returns an error without waiting for the write under way; so it does when a write has failed. After Abort there
// is only the write under way to wait for. Close may be called again.
func (o *Outbox) Close(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refusal = instrument.DropClosed
	if o.writing {
		if o.ended == nil {
			o.ended = make(chan struct{})
		}
		ended := o.ended
		o.mu.Unlock()
		select {
		case <-ended:
		case <-ctx.Done():
		}
		o.mu.Lock()
	}
	if o.writing {
		n := o.queue.n
		o.drop(instrument.DropClosed)
		return fmt.Errorf("close the send queue: peer takes too long, %d frames dropped: %w", n, context.Cause(ctx))
	}
	if o.err != nil {
		return fmt.Errorf("close the send queue: %w", o.err)
	}
	return nil
}

// Abort drops all that waits for the reason given, because the connection is gone or to be given up. The write under
// way is not waited for; should it fail, its frame is dropped for the same reason. Frames that are put later are
// dropped because the connection is closed.
func (o *Outbox) Abort(r instrument.DropReason) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drop(r)
}

// Len returns how many frames wait, without the one that is being written.
func (o *Outbox) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.queue.n
}
