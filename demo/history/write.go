package history

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// maxBatch is how many writes share a transaction. It bounds the memory that one takes.
const maxBatch = 1024

// A write is what somebody waits for to be on disk.
type write struct {
	ctx context.Context
	// do reports whether it has changed anything. It refuses by ErrInvalid or ErrFull, which harms no other write. It
	// may be called again, when the transaction that it was part of had to be given up.
	do     func(*bbolt.Tx) (changed bool, err error)
	result chan error // takes one without waiting
}

// write has do done in a transaction and waits for it to be on disk, at most as long as ctx. Values that do has set
// must not be read unless write has succeeded.
func (f *File) write(ctx context.Context, do func(*bbolt.Tx) (bool, error)) error {
	w := &write{ctx: ctx, do: do, result: make(chan error, 1)}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case f.writes <- w:
	case <-f.closing:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("the disk is busy: %w", context.Cause(ctx))
	}
	select {
	case err := <-w.result:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the disk is busy, it may be saved nevertheless: %w", context.Cause(ctx))
	}
}

// run is the writer. While it waits for the disk the next writes gather, so that it is busy with one transaction after
// the other under load and adds no delay of its own otherwise.
func (f *File) run() {
	defer close(f.written)
	for {
		select {
		case w := <-f.writes:
			f.commit(f.gather(w))
		case <-f.closing:
			return
		}
	}
}

// gather returns the write with all that wait.
func (f *File) gather(w *write) []*write {
	batch := []*write{w}
	for len(batch) < maxBatch {
		select {
		case w := <-f.writes:
			batch = append(batch, w)
		default:
			return batch
		}
	}
	return batch
}

// commit does the writes in one transaction and tells each how it went. If a write breaks, each gets a transaction of
// its own.
func (f *File) commit(batch []*write) {
	results := make([]error, len(batch))
	broken, err := f.writeAll(batch, results)
	if broken && len(batch) > 1 {
		for _, w := range batch {
			f.commit([]*write{w})
		}
		return
	}
	f.failed.Store(err != nil)
	for i, w := range batch {
		if err != nil {
			results[i] = err
		}
		w.result <- results[i]
	}
}

// errUnchanged gives a transaction up that would cost a write to the disk for nothing.
var errUnchanged = errors.New("nothing has changed")

// writeAll does the writes in one transaction. It is broken if a write was the reason for its failure.
func (f *File) writeAll(batch []*write, results []error) (broken bool, err error) {
	err = f.transact(f.db.Update, func(tx *bbolt.Tx) error {
		broken = true
		changed := false
		for i, w := range batch {
			if w.ctx.Err() != nil {
				results[i] = context.Cause(w.ctx)
				continue
			}
			c, err := w.do(tx)
			if err != nil && !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrFull) {
				return err
			}
			results[i] = err
			changed = changed || c
		}
		broken = false
		if !changed {
			return errUnchanged
		}
		return nil
	})
	if errors.Is(err, errUnchanged) {
		err = nil
	}
	return broken, err
}
