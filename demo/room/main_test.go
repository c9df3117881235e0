package room

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// patience bounds every wait of these tests.
const patience = 10 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listener records what it is handed.
type listener struct {
	mu   sync.Mutex
	got  []*wire.Frame
	last *wire.Frame
}

func (l *listener) Deliver(f *wire.Frame, _ *instrument.Broadcast) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, f)
	l.last = f
}

// epoch returns that of the last message.
func (l *listener) epoch() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last.Epoch
}

// frames returns what has arrived since the last call.
func (l *listener) frames() []*wire.Frame {
	l.mu.Lock()
	defer l.mu.Unlock()
	got := l.got
	l.got = nil
	return got
}

// seqs returns the numbers of the messages that have arrived since the last call.
func (l *listener) seqs() []uint64 {
	var seqs []uint64
	for _, f := range l.frames() {
		seqs = append(seqs, f.Seq)
	}
	return seqs
}

func (l *listener) wants(t *testing.T, what string, want ...uint64) {
	t.Helper()
	if diff := cmp.Diff(want, l.seqs()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func upTo(n uint64) []uint64 {
	var seqs []uint64
	for seq := uint64(1); seq <= n; seq++ {
		seqs = append(seqs, seq)
	}
	return seqs
}

// store is a history in a file that fails or hangs when a test wants it to.
type store struct {
	history.Store
	// before is asked before a room is read.
	before func(ctx context.Context, room string) error
	mu     sync.Mutex
}

func (s *store) disturb(before func(ctx context.Context, room string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

func (s *store) read(ctx context.Context, room string) error {
	s.mu.Lock()
	before := s.before
	s.mu.Unlock()
	if before == nil {
		return nil
	}
	return before(ctx, room)
}

func (s *store) Latest(ctx context.Context, room string, limit int) ([]history.Message, error) {
	if err := s.read(ctx, room); err != nil {
		return nil, err
	}
	return s.Store.Latest(ctx, room, limit)
}

func (s *store) After(ctx context.Context, room string, after uint64, limit int) ([]history.Message, error) {
	if err := s.read(ctx, room); err != nil {
		return nil, err
	}
	return s.Store.After(ctx, room, after, limit)
}

func newStore(t *testing.T, limits history.Limits) *store {
	t.Helper()
	file, err := history.OpenFile(filepath.Join(t.TempDir(), "history.db"), limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	})
	return &store{Store: file}
}

// say saves a message without delivering it.
func (s *store) say(t *testing.T, room, text string) history.Message {
	t.Helper()
	m, _, err := s.Append(t.Context(), history.Message{Room: room, ID: text, From: "Ada", Text: text})
	if err != nil {
		t.Error(err)
	}
	return m
}

// sayMany saves n messages of the lobby and returns them by their numbers.
func (s *store) sayMany(t *testing.T, n int) map[uint64]history.Message {
	t.Helper()
	said := make(map[uint64]history.Message, n)
	var saying sync.WaitGroup
	for i := range n {
		said[uint64(i+1)] = history.Message{}
		saying.Go(func() { s.say(t, "lobby", fmt.Sprint(i)) }) // many at once are saved together
	}
	saying.Wait()
	last, err := s.LastSeq(t.Context(), "lobby")
	if err != nil || last != uint64(n) {
		t.Fatalf("%d messages saved (%v), want %d", last, err, n)
	}
	for after := uint64(0); after < last; {
		got, err := s.Store.After(t.Context(), "lobby", after, wire.MaxHistory)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 {
			break
		}
		for _, m := range got {
			said[m.Seq] = m
			after = m.Seq
		}
	}
	return said
}

func join(t *testing.T, r *Rooms, room string, members ...Member) {
	t.Helper()
	for _, m := range members {
		if _, err := r.Join(t.Context(), room, m); err != nil {
			t.Fatal(err)
		}
	}
}

func deliver(t *testing.T, r *Rooms, m history.Message) {
	t.Helper()
	if err := r.Deliver(t.Context(), m, nil); err != nil {
		t.Errorf("deliver %d: %v", m.Seq, err)
	}
}

// within fails the test if f does not return.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s is held up", what)
	}
}

func ascending(seqs []uint64) bool {
	return slices.IsSortedFunc(seqs, func(a, b uint64) int {
		if a < b {
			return -1
		}
		return 1 // equal ones are not in order either
	})
}
