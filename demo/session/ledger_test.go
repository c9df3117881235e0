package session

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/sockscope/sockscope/demo/history"
)

// ledger is a store in memory, for tests that need thousands of them. All others use the real ones.
type ledger struct {
	mu    sync.Mutex
	rooms map[string][]history.Message
	reads map[string]map[string]uint64
}

func newLedger() *ledger {
	return &ledger{rooms: make(map[string][]history.Message), reads: make(map[string]map[string]uint64)}
}

func (l *ledger) Append(_ context.Context, m history.Message) (history.Message, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, before := range l.rooms[m.Room] {
		if before.ID == m.ID && before.From == m.From {
			return before, true, nil
		}
	}
	m.Seq = uint64(len(l.rooms[m.Room]) + 1)
	m.SavedID = fmt.Sprint(m.Room, "-", m.Seq)
	l.rooms[m.Room] = append(l.rooms[m.Room], m)
	return m, false, nil
}

func (l *ledger) After(_ context.Context, room string, after uint64, limit int) ([]history.Message, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.rooms[room]
	all = all[min(after, uint64(len(all))):]
	return all[:min(limit, len(all))], nil
}

func (l *ledger) Latest(_ context.Context, room string, limit int) ([]history.Message, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.rooms[room]
	return all[max(0, len(all)-limit):], nil
}

func (l *ledger) LastSeq(_ context.Context, room string) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.rooms[room])), nil
}

func (l *ledger) MarkRead(_ context.Context, room, user string, seq uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq > uint64(len(l.rooms[room])) {
		return history.ErrInvalid
	}
	if l.reads[room] == nil {
		l.reads[room] = make(map[string]uint64)
	}
	l.reads[room][user] = max(seq, l.reads[room][user])
	return nil
}

func (l *ledger) Reads(_ context.Context, room string) (map[string]uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.reads[room]), nil
}

func (l *ledger) Ping(context.Context) error { return nil }

func (l *ledger) Close() error { return nil }
