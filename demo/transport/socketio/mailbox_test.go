package socketio

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestMailbox looks at each way in which putting into a full mailbox ends, and at the order.
func TestMailbox(t *testing.T) {
	t.Parallel()
	const timeout = 10 * time.Second
	for name, tc := range map[string]struct {
		meanwhile func(m *mailbox, gone chan struct{}) // after 3 s
		took      time.Duration
		err       error
	}{
		"fetched":     {func(m *mailbox, _ chan struct{}) { m.take() }, 3 * time.Second, nil},
		"gone":        {func(_ *mailbox, gone chan struct{}) { close(gone) }, 3 * time.Second, errGone},
		"not fetched": {func(*mailbox, chan struct{}) {}, timeout, errNotFetched},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, gone := newMailbox(), make(chan struct{})
				large := unit{data: bytes.Repeat([]byte("x"), 2*mailboxBytes)} // alone it may be of any size
				if err := m.put(gone, timeout, large); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				time.AfterFunc(3*time.Second, func() { tc.meanwhile(m, gone) })
				if err := m.put(gone, timeout, unit{data: []byte("3")}); !errors.Is(err, tc.err) || time.Since(began) != tc.took {
					t.Errorf("%v after %v, want %v after %v", err, time.Since(began), tc.err, tc.took)
				}
			})
		})
	}
}

// TestMailboxIsBounded fills a mailbox with the smallest packets that there are.
func TestMailboxIsBounded(t *testing.T) {
	t.Parallel()
	m, gone := newMailbox(), make(chan struct{})
	close(gone)
	n := 0
	for m.put(gone, time.Second, unit{data: []byte("3")}) == nil {
		n++
	}
	if units := m.take(); len(units) != n || n > mailboxBytes/unitBytes {
		t.Errorf("%d packets are put, and %d wait", n, len(units))
	}
}

// TestAwait looks when a poll is answered.
func TestAwait(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		happens func(m *mailbox, gone chan struct{}, leave func())
		units   int
	}{
		"something is put": {func(m *mailbox, gone chan struct{}, _ func()) { _ = m.put(gone, 0, unit{}, unit{}) }, 2},
		"in a hurry":       {func(m *mailbox, _ chan struct{}, _ func()) { m.setHurry(true) }, 0},
		"client ends":      {func(_ *mailbox, gone chan struct{}, _ func()) { close(gone) }, 0},
		"poll ends":        {func(_ *mailbox, _ chan struct{}, leave func()) { leave() }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, gone := newMailbox(), make(chan struct{})
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				began := time.Now()
				time.AfterFunc(time.Second, func() { tc.happens(m, gone, leave) })
				if units := m.await(ctx, gone); len(units) != tc.units || time.Since(began) != time.Second {
					t.Errorf("%d packets after %v, want %d after 1 s", len(units), time.Since(began), tc.units)
				}
			})
		})
	}
}
