package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	"go.opentelemetry.io/otel/trace"
)

var bboltSystem = system{"bbolt", trace.SpanKindInternal}

// lockTimeout is how long a file may be in use elsewhere, as by an instance that is about to end.
const lockTimeout = time.Second

// A File is a Store in one file. Messages that are appended at the same time share one write to the disk.
type File struct {
	limits Limits
	db     *bbolt.DB
	full   time.Time // until when there is no place for a new room; belongs to the writer

	writes  chan *write
	failed  atomic.Bool   // the last write has failed
	broken  atomic.Bool   // bbolt has panicked with its locks held
	closing chan struct{} // closed by Close
	written chan struct{} // closed when the writer has ended
	close   func() error
}

var _ Store = (*File)(nil)

// OpenFile opens the store in the file, which it creates if there is none. The file can be used by one process at a
// time; another one is waited for for a second.
func OpenFile(path string, limits Limits) (*File, error) {
	f, err := openFile(path, limits)
	if err != nil {
		return nil, err
	}
	if err := f.checkOwn(); err != nil {
		return nil, errors.Join(f.wrap("open", err), f.Close())
	}
	return f, nil
}

func openFile(path string, limits Limits) (*File, error) {
	limits, err := limits.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	f := &File{
		limits:  limits,
		writes:  make(chan *write),
		closing: make(chan struct{}),
		written: make(chan struct{}),
	}
	if err := f.open(path); err != nil {
		return nil, fmt.Errorf("history: open %s: %w", path, err)
	}
	f.close = sync.OnceValue(func() error {
		close(f.closing)
		<-f.written
		if f.broken.Load() {
			return errBroken
		}
		return f.db.Close()
	})
	go f.run()
	return f, nil
}

func (f *File) open(path string) error {
	err := guard(func() (err error) { // the first access to the freelist may panic, too
		f.db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout})
		return err
	})
	if err != nil {
		return explain(err)
	}
	err = guard(func() error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		return f.db.Update(func(tx *bbolt.Tx) error {
			if info.Size() < tx.Size() {
				return damaged("%d bytes of it are missing", tx.Size()-info.Size())
			}
			_, err := tx.CreateBucketIfNotExists(roomsBucket)
			return err
		})
	})
	if err != nil {
		return errors.Join(explain(err), f.db.Close())
	}
	return nil
}

// Close implements Store.
func (f *File) Close() error {
	if err := f.close(); err != nil {
		return fmt.Errorf("history: close %s: %w", f.db.Path(), err)
	}
	return nil
}

// Ping implements Store. After a write that failed, as on a full disk, it tries another one.
func (f *File) Ping(ctx context.Context) error {
	err := f.view(ctx, func(*bbolt.Tx) error { return nil })
	if err == nil && f.failed.Load() {
		err = f.write(ctx, func(*bbolt.Tx) (bool, error) { return true, nil })
	}
	return f.wrap("use", err)
}

// Append implements Store.
func (f *File) Append(ctx context.Context, m Message) (_ Message, again bool, err error) {
	ctx, span := bboltSystem.start(ctx, spanAppend, "put")
	defer func() { end(span, err) }()
	m, record, err := prepare(m)
	if err != nil {
		return Message{}, false, f.wrap("append to", err)
	}
	var saved Message // the writer's, unless write succeeds
	err = f.write(ctx, func(tx *bbolt.Tx) (changed bool, err error) {
		saved, changed, err = f.append(tx, m, record)
		return changed, err
	})
	if err != nil {
		return Message{}, false, f.wrap("append to", err)
	}
	return saved, saved.SavedID != m.SavedID, nil
}

// After implements Store.
func (f *File) After(ctx context.Context, room string, after uint64, limit int) ([]Message, error) {
	return f.read(ctx, room, limit, func(c *bbolt.Cursor) ([]byte, []byte) {
		if after+1 == 0 {
			return nil, nil
		}
		return c.Seek(number(after + 1))
	}, (*bbolt.Cursor).Next)
}

// Latest implements Store.
func (f *File) Latest(ctx context.Context, room string, limit int) ([]Message, error) {
	messages, err := f.read(ctx, room, limit, (*bbolt.Cursor).Last, (*bbolt.Cursor).Prev)
	slices.Reverse(messages)
	return messages, err
}

// read returns at most limit messages from where first puts the cursor on.
func (f *File) read(ctx context.Context, room string, limit int, first, next func(*bbolt.Cursor) (k, v []byte)) (
	messages []Message, err error,
) {
	ctx, span := bboltSystem.start(ctx, spanRead, "get")
	defer func() { end(span, err) }()
	if err := cmp.Or(checkRoom(room), checkLimit(limit)); err != nil {
		return nil, f.wrap("read", err)
	}
	err = f.viewRoom(ctx, room, func(r fileRoom) error {
		c := r.messages.Cursor()
		for k, v := first(c); k != nil && len(messages) < limit; k, v = next(c) {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			m, err := decode(room, toNumber(k), v)
			if err != nil {
				return err
			}
			messages = append(messages, m)
		}
		return nil
	})
	if err != nil {
		return nil, f.wrap("read", err)
	}
	return messages, nil
}

// LastSeq implements Store.
func (f *File) LastSeq(ctx context.Context, room string) (seq uint64, err error) {
	ctx, span := bboltSystem.start(ctx, spanRead, "get")
	defer func() { end(span, err) }()
	err = f.viewRoom(ctx, room, func(r fileRoom) error {
		seq = r.messages.Sequence()
		return nil
	})
	return seq, f.wrap("read", err)
}

// MarkRead implements Store.
func (f *File) MarkRead(ctx context.Context, room, user string, seq uint64) (err error) {
	ctx, span := bboltSystem.start(ctx, spanMark, "put")
	defer func() { end(span, err) }()
	if err := cmp.Or(checkRoom(room), checkName("the user", user)); err != nil || seq == 0 {
		return f.wrap("mark as read in", err)
	}
	return f.wrap("mark as read in", f.write(ctx, func(tx *bbolt.Tx) (bool, error) {
		return f.mark(tx, room, user, seq)
	}))
}

// Reads implements Store.
func (f *File) Reads(ctx context.Context, room string) (reads map[string]uint64, err error) {
	ctx, span := bboltSystem.start(ctx, spanRead, "get")
	defer func() { end(span, err) }()
	reads = make(map[string]uint64)
	err = f.viewRoom(ctx, room, func(r fileRoom) error {
		return r.reads.ForEach(func(user, seq []byte) error {
			reads[string(user)] = toNumber(seq)
			return nil
		})
	})
	if err != nil {
		return nil, f.wrap("read", err)
	}
	return reads, nil
}

// viewRoom calls do with the room, if there is one of that name.
func (f *File) viewRoom(ctx context.Context, room string, do func(fileRoom) error) error {
	if err := checkRoom(room); err != nil {
		return err
	}
	return f.view(ctx, func(tx *bbolt.Tx) error {
		r, ok, err := openRoom(tx, room)
		if err != nil || !ok {
			return err
		}
		return do(r)
	})
}

func (f *File) view(ctx context.Context, do func(*bbolt.Tx) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return f.transact(f.db.View, do)
}

func (f *File) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("history: %s %s: %w", what, f.db.Path(), explain(err))
}
