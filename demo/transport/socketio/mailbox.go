package socketio

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// mailboxBytes is how much waits for one poll. A client that does not poll in time has its session's queue fill up.
	mailboxBytes = 64 << 10
	// unitBytes is what a packet counts besides its length, so that small ones are bounded as well.
	unitBytes = 64
)

var (
	errNotFetched = errors.New("socketio: the client does not poll, and too much waits for it")
	errGone       = errors.New("socketio: the client is gone")
)

// mailbox holds what a client gets with its next poll. One caller puts and one takes at a time.
type mailbox struct {
	mu    sync.Mutex
	units []unit
	bytes int
	hurry bool // a poll is not to wait, because the client is about to leave polling

	filled  chan struct{} // has a value when a poll may have an answer
	emptied chan struct{} // has a value when there may be room
}

func newMailbox() *mailbox {
	return &mailbox{filled: make(chan struct{}, 1), emptied: make(chan struct{}, 1)}
}

// put adds packets, which stay together, once there is room. It gives up when the client is gone, or does not poll for
// too long.
func (m *mailbox) put(gone <-chan struct{}, timeout time.Duration, units ...unit) error {
	size := 0
	for _, u := range units {
		size += len(u.data) + unitBytes
	}
	var late <-chan time.Time
	for !m.add(size, units) {
		if late == nil {
			timer := time.NewTimer(timeout)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-m.emptied:
		case <-gone:
			return errGone
		case <-late:
			return errNotFetched
		}
	}
	return nil
}

// add reports whether there is room. Packets of any size may wait alone.
func (m *mailbox) add(size int, units []unit) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bytes > 0 && m.bytes+size > mailboxBytes {
		return false
	}
	m.units = append(m.units, units...)
	m.bytes += size
	signal(m.filled)
	return true
}

// take returns all packets without waiting.
func (m *mailbox) take() []unit {
	m.mu.Lock()
	defer m.mu.Unlock()
	units := m.units
	m.units, m.bytes = nil, 0
	signal(m.emptied)
	return units
}

// await returns all packets as soon as there are any. There may be none if ctx ends, or the client is gone or leaves
// polling.
func (m *mailbox) await(ctx context.Context, gone <-chan struct{}) []unit {
	for {
		if units := m.take(); len(units) > 0 || m.hurries() {
			return units
		}
		select {
		case <-m.filled:
		case <-gone:
			return m.take()
		case <-ctx.Done():
			return nil
		}
	}
}

func (m *mailbox) hurries() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.hurry
}

// setHurry says whether polls are answered without waiting.
func (m *mailbox) setHurry(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hurry = on
	signal(m.filled)
}

// signal puts a value into a channel with room for one, unless there is one.
func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}
