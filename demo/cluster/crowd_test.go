package cluster

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/demo/room"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// counting is a member that counts what it gets.
type counting struct{ frames int }

func (c *counting) Deliver(*wire.Frame, *instrument.Broadcast) { c.frames++ }

// TestCrowdOfConnectionsIsNotToldByOthers has another node tell who types in a room in which few users have more and
// more connections here.
func TestCrowdOfConnectionsIsNotToldByOthers(t *testing.T) {
	t.Parallel()
	store, err := history.OpenFile(filepath.Join(t.TempDir(), "history.db"), history.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	observer, err := observe.New(observe.Config{Logger: slog.New(slog.DiscardHandler), ConnectionLimit: 1})
	if err != nil {
		t.Fatal(err)
	}
	rooms := room.New(room.Config{History: store})
	c, err := New(Config{
		Node: "here", NodeTimeout: time.Minute, Rooms: rooms, Topics: new(room.Topics), Observer: observer,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	first := new(counting)
	for n, members := range []int{crowd, crowd + 1} {
		for rooms.Members("lobby") < members {
			member := new(counting)
			if rooms.Members("lobby") == 0 {
				member = first
			}
			if _, err := rooms.Join(t.Context(), "lobby", member); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.deliver(t.Context(), []byte(`{"room":"lobby","type":"typing","frame":{}}`), nil); err != nil {
			t.Fatal(err)
		}
		if first.frames != 1 {
			t.Errorf("step %d: a member of %d is told %d times, want once while they are no crowd", n, members, first.frames)
		}
	}
}
