package inject

import (
	"context"
	"errors"

	"github.com/sockscope/sockscope/demo/history"
)

var errStoreFails = errors.New("the store can't save now, because the fault store_errors is on")

// Store decorates a store of messages: slow_store, store_errors.
func (f *Faults) Store(s history.Store) history.Store { return faultyStore{s, f} }

// faultyStore is a store that faults make slow or fail.
type faultyStore struct {
	history.Store
	faults *Faults
}

func (s faultyStore) Append(ctx context.Context, m history.Message) (history.Message, bool, error) {
	if err := s.slow(ctx); err != nil {
		return history.Message{}, false, err
	}
	if s.faults.storeErrors.Hits() {
		return history.Message{}, false, errStoreFails
	}
	return s.Store.Append(ctx, m)
}

func (s faultyStore) After(ctx context.Context, room string, after uint64, limit int) ([]history.Message, error) {
	if err := s.slow(ctx); err != nil {
		return nil, err
	}
	return s.Store.After(ctx, room, after, limit)
}

func (s faultyStore) Latest(ctx context.Context, room string, limit int) ([]history.Message, error) {
	if err := s.slow(ctx); err != nil {
		return nil, err
	}
	return s.Store.Latest(ctx, room, limit)
}

func (s faultyStore) LastSeq(ctx context.Context, room string) (uint64, error) {
	if err := s.slow(ctx); err != nil {
		return 0, err
	}
	return s.Store.LastSeq(ctx, room)
}

func (s faultyStore) MarkRead(ctx context.Context, room, user string, seq uint64) error {
	if err := s.slow(ctx); err != nil {
		return err
	}
	return s.Store.MarkRead(ctx, room, user, seq)
}

func (s faultyStore) Reads(ctx context.Context, room string) (map[string]uint64, error) {
	if err := s.slow(ctx); err != nil {
		return nil, err
	}
	return s.Store.Reads(ctx, room)
}

func (s faultyStore) Ping(ctx context.Context) error {
	if err := s.slow(ctx); err != nil {
		return err
	}
	return s.Store.Ping(ctx)
}

func (s faultyStore) slow(ctx context.Context) error {
	s.faults.slowStore.Hold(ctx, milliseconds(s.faults.slowStore))
	return context.Cause(ctx)
}
