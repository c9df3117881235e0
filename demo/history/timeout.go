package history

import (
	"context"
	"time"
)

// WithTimeout returns a store that does as s does, and whose calls fail when they take longer than limit, so that
// nobody waits forever for one that hangs. Ping and Close take as long as they do.
func WithTimeout(s Store, limit time.Duration) Store { return timely{s, limit} }

// timely is a store that answers in time or fails.
type timely struct {
	Store
	limit time.Duration
}

func (t timely) Append(ctx context.Context, m Message) (saved Message, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, t.limit)
	defer cancel()
	return t.Store.Append(ctx, m)
}

func (t timely) After(ctx context.Context, room string, after uint64, limit int) ([]Message, error) {
	ctx, cancel := context.WithTimeout(ctx, t.limit)
	defer cancel()
	return t.Store.After(ctx, room, after, limit)
}

func (t timely) Latest(ctx context.Context, room string, limit int) ([]Message, error) {
	ctx, cancel := context.WithTimeout(ctx, t.limit)
	defer cancel()
	return t.Store.Latest(ctx, room, limit)
}

func (t timely) LastSeq(ctx context.Context, room string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, t.limit)
	defer cancel()
	return t.Store.LastSeq(ctx, room)
}

func (t timely) MarkRead(ctx context.Context, room, user string, seq uint64) error {
	ctx, cancel := context.WithTimeout(ctx, t.limit)
	defer cancel()
	return t.Store.MarkRead(ctx, room, user, seq)
}

func (t timely) Reads(ctx context.Context, room string) (map[string]uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, t.limit)
	defer cancel()
	return t.Store.Reads(ctx, room)
}
