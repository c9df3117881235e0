package room

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sockscope/sockscope/demo/history"
)

// TestForgottenRoom has the history forget a room while somebody is in it: what is said then counts from 1 again, and
// is delivered.
func TestForgottenRoom(t *testing.T) {
	t.Parallel()
	for name, tell := range map[string]func(t *testing.T, r *Rooms, said []history.Message){
		"told of each": func(t *testing.T, r *Rooms, said []history.Message) {
			t.Helper()
			for _, m := range said {
				deliver(t, r, m)
				deliver(t, r, m)
			}
		},
		"told of the last": func(t *testing.T, r *Rooms, said []history.Message) {
			t.Helper()
			deliver(t, r, said[len(said)-1])
			deliver(t, r, said[0])
		},
		"catches up": func(t *testing.T, r *Rooms, _ []history.Message) {
			t.Helper()
			if err := r.CatchUp(t.Context()); err != nil {
				t.Error(err)
			}
		},
	} {
		for _, before := range []int{1, 3, 100} {
			t.Run(fmt.Sprint(name, " after ", before), func(t *testing.T) {
				t.Parallel()
				h := newStore(t, history.Limits{Rooms: 1, Retention: time.Millisecond})
				r := New(Config{History: h})
				ada := new(listener)
				join(t, r, "lobby", ada)
				h.sayMany(t, before)
				if err := r.CatchUp(t.Context()); err != nil {
					t.Fatal(err)
				}
				ada.wants(t, "before", upTo(uint64(before))...)
				epoch := ada.epoch()

				time.Sleep(2 * time.Millisecond) // which is long here
				h.say(t, "cellar", "takes its place")
				time.Sleep(2 * time.Millisecond)
				var said []history.Message
				for i := range 3 {
					said = append(said, h.say(t, "lobby", fmt.Sprint("again ", i)))
				}
				if said[0].Seq != 1 {
					t.Fatalf("the room goes on with %d", said[0].Seq)
				}
				tell(t, r, said)
				ada.wants(t, "after it was forgotten", 1, 2, 3)
				again := ada.epoch()
				deliver(t, r, h.say(t, "lobby", "goes on"))
				ada.wants(t, "from then on", 4)
				if ada.last.Room != "lobby" || again == epoch || ada.epoch() != again {
					t.Errorf("epoch %d, then %d and %d of %s, want the second to be another one", epoch, again, ada.epoch(), ada.last.Room)
				}
				if seq := r.Seq("lobby"); seq != 4 {
					t.Errorf("the room is at %d, want 4", seq)
				}
			})
		}
	}
}

// TestLostMessages has the history lose its newest messages, and give their numbers to others: these are delivered, and
// none that was before.
func TestLostMessages(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history.db")
	open := func(path string) history.Store {
		t.Helper()
		file, err := history.OpenFile(path, history.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() })
		return file
	}
	h := &store{Store: open(path)}
	r := New(Config{History: h})
	ada := new(listener)
	join(t, r, "lobby", ada)
	say := func(text string) {
		t.Helper()
		deliver(t, r, h.say(t, "lobby", text))
	}
	for i := range 5 {
		say(fmt.Sprint(i))
	}
	backup, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	say("lost")
	say("lost as well")
	ada.wants(t, "before", upTo(7)...)

	restored := filepath.Join(t.TempDir(), "history.db")
	if err := os.WriteFile(restored, backup, 0o600); err != nil {
		t.Fatal(err)
	}
	h.Store = open(restored)
	say("another")
	ada.wants(t, "the one that has a number again", 6)
	if err := r.CatchUp(t.Context()); err != nil {
		t.Error(err)
	}
	ada.wants(t, "after catching up")
	say("and another")
	say("goes on")
	ada.wants(t, "from then on", 7, 8)
}

// TestRepetitionsAreCheap tells a room of all its messages again, as nodes do: the history is not asked.
func TestRepetitionsAreCheap(t *testing.T) {
	t.Parallel()
	h := newStore(t, history.Limits{})
	r := New(Config{History: h})
	ada := new(listener)
	join(t, r, "lobby", ada)
	const n = 300
	said := h.sayMany(t, n)
	deliver(t, r, said[n])
	ada.wants(t, "the first time", upTo(n)...)
	var asked atomic.Int64
	h.disturb(func(context.Context, string) error {
		asked.Add(1)
		return nil
	})
	for range 3 {
		for seq := uint64(n); seq > 0; seq-- {
			deliver(t, r, said[seq])
		}
	}
	ada.wants(t, "the second time")
	if n := asked.Load(); n != 0 {
		t.Errorf("the history was asked %d times", n)
	}
}
