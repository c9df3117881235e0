package room

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/wire"
)

// listener records what it is handed.
type listener struct {
	name string
	mu   sync.Mutex
	got  []*wire.Frame
}

func (l *listener) Name() string { return l.name }

func (l *listener) Deliver(f *wire.Frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, f)
}

// types returns the types of what arrived since the last call.
func (l *listener) types() []wire.Type {
	l.mu.Lock()
	defer l.mu.Unlock()
	var types []wire.Type
	for _, f := range l.got {
		types = append(types, f.Type)
	}
	l.got = nil
	return types
}

func join(t *testing.T, h *Hub, room string, members ...*listener) {
	t.Helper()
	for _, m := range members {
		if err := h.Join(room, m); err != nil {
			t.Fatalf("%s joins %s: %v", m.name, room, err)
		}
	}
}

func wantTypes(t *testing.T, l *listener, want ...wire.Type) {
	t.Helper()
	if diff := cmp.Diff(want, l.types()); diff != "" {
		t.Errorf("%s got something else (-want +got):\n%s", l.name, diff)
	}
}

func TestPresence(t *testing.T) {
	h := NewHub(10)
	ada, ben := &listener{name: "Ada"}, &listener{name: "Ben"}
	join(t, h, "lobby", ada, ben)
	wantTypes(t, ada, wire.TypeRoomUsers, wire.TypeJoined)

	var env wire.Envelope
	var users wire.RoomUsersPayload
	if err := errors.Join(json.Unmarshal(ben.got[0].Data, &env), json.Unmarshal(env.Payload, &users)); err != nil {
		t.Fatal(err)
	}
	slices.Sort(users.Users)
	if diff := cmp.Diff(wire.RoomUsersPayload{Room: "lobby", Users: []string{"Ada", "Ben"}, Count: 2}, users); diff != "" {
		t.Errorf("who Ben finds (-want +got):\n%s", diff)
	}
	wantTypes(t, ben, wire.TypeRoomUsers)

	// Joining again repeats the list and tells nobody.
	join(t, h, "lobby", ben)
	wantTypes(t, ada)
	wantTypes(t, ben, wire.TypeRoomUsers)

	if err := h.Leave("lobby", ben); err != nil {
		t.Fatal(err)
	}
	wantTypes(t, ada, wire.TypeLeft)
	wantTypes(t, ben)
	if err := h.Leave("lobby", ben); err != nil { // harmless
		t.Fatal(err)
	}
	wantTypes(t, ada)
}

func TestPublishReachesTheRoomOnly(t *testing.T) {
	h := NewHub(10)
	ada, ben, eve := &listener{name: "Ada"}, &listener{name: "Ben"}, &listener{name: "Eve"}
	join(t, h, "lobby", ada, ben)
	join(t, h, "cellar", eve)
	ada.types()
	ben.types()
	eve.types()
	if n := h.Publish("lobby", &wire.Frame{Type: wire.TypeMessage}); n != 2 {
		t.Errorf("%d recipients, want 2", n)
	}
	wantTypes(t, ada, wire.TypeMessage)
	wantTypes(t, ben, wire.TypeMessage)
	wantTypes(t, eve)
	if n := h.Publish("nowhere", &wire.Frame{}); n != 0 {
		t.Errorf("%d recipients in a room that is not there, want 0", n)
	}
}

func TestRoomLimitAndEnd(t *testing.T) {
	h := NewHub(1)
	ada := &listener{name: "Ada"}
	join(t, h, "one", ada)
	var p *wire.RefusalError
	if err := h.Join("two", ada); !errors.As(err, &p) || p.Code != wire.CodeServerFull {
		t.Fatalf("a room too many: %v, want %s", err, wire.CodeServerFull)
	}
	if err := h.Leave("one", ada); err != nil {
		t.Fatal(err)
	}
	join(t, h, "two", ada) // the empty room made place
}

func TestLargeRoomsAreQuiet(t *testing.T) {
	h := NewHub(1)
	first := &listener{name: "first"}
	join(t, h, "hall", first)
	for i := range presenceLimit + 50 {
		join(t, h, "hall", &listener{name: fmt.Sprint(i)})
	}
	first.mu.Lock()
	n := len(first.got)
	first.mu.Unlock()
	if n != presenceLimit { // its own list, and the others up to the limit
		t.Errorf("the first member got %d frames, want %d", n, presenceLimit)
	}
	last := &listener{name: "last"}
	join(t, h, "hall", last)
	var env wire.Envelope
	var users wire.RoomUsersPayload
	if err := errors.Join(json.Unmarshal(last.got[0].Data, &env), json.Unmarshal(env.Payload, &users)); err != nil {
		t.Fatal(err)
	}
	if len(users.Users) != listLimit || users.Count != presenceLimit+52 {
		t.Errorf("%d users listed of %d, want %d of %d", len(users.Users), users.Count, listLimit, presenceLimit+52)
	}
}

// TestOrderIsTheSameForAll publishes from many sides at once: every member has
// to see one and the same order, while others come and go.
func TestOrderIsTheSameForAll(t *testing.T) {
	h := NewHub(1)
	ada, ben := &listener{name: "Ada"}, &listener{name: "Ben"}
	join(t, h, "lobby", ada, ben)
	ada.types()
	ben.types()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			guest := &listener{name: "guest"}
			for j := range 100 {
				h.Publish("lobby", &wire.Frame{Type: wire.Type(fmt.Sprint(i, " ", j))})
				_ = h.Join("lobby", guest)
				_ = h.Leave("lobby", guest)
			}
		})
	}
	wg.Wait()
	presence := func(typ wire.Type) bool { return typ == wire.TypeJoined || typ == wire.TypeLeft }
	a, b := slices.DeleteFunc(ada.types(), presence), slices.DeleteFunc(ben.types(), presence)
	if len(a) != 800 {
		t.Errorf("Ada got %d messages, want 800", len(a))
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("Ada and Ben saw different orders:\n%s", diff)
	}
}
