// Package room keeps who is in which room and delivers to all of them. It
// knows nothing of the transport: a member is whatever can be handed a frame.
package room

import (
	"fmt"
	"sync"

	"github.com/sockscope/sockscope/demo/wire"
)

const (
	// presenceLimit is the size from which on a room no longer tells who comes
	// and goes: a room that fills up costs the square of its size in notices.
	presenceLimit = 64
	// listLimit bounds the users that are named to who joins.
	listLimit = 100
)

// Member is somebody in a room.
type Member interface {
	// Name is what the others see.
	Name() string
	// Deliver takes a frame. It must not block, nor call the hub.
	Deliver(*wire.Frame)
}

// Hub holds all rooms. A room comes into being with its first member and ends
// with its last.
type Hub struct {
	limit int

	mu    sync.Mutex // taken before a room's
	rooms map[string]*members
}

// members is one room. Its lock is held while a frame is handed to everybody,
// so that all members see the same order.
type members struct {
	mu sync.Mutex
	in map[Member]struct{}
}

// NewHub returns a hub for at most limit rooms.
func NewHub(limit int) *Hub {
	return &Hub{limit: limit, rooms: make(map[string]*members)}
}

// Join puts m into the room, tells the others, and tells m who is there. Being
// in the room already is no error.
func (h *Hub) Join(name string, m Member) error {
	joined, err := wire.NewFrame(wire.TypeJoined, "", wire.PresencePayload{Room: name, User: m.Name()})
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r, ok := h.rooms[name]
	if !ok {
		if len(h.rooms) >= h.limit {
			return &wire.RefusalError{Code: wire.CodeServerFull, Reason: fmt.Sprintf("there are %d rooms already; join one of them", h.limit)}
		}
		r = &members{in: make(map[Member]struct{})}
		h.rooms[name] = r
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, again := r.in[m]; !again {
		r.announce(joined)
		r.in[m] = struct{}{}
	}
	list, err := wire.NewFrame(wire.TypeRoomUsers, "", r.users(name))
	if err != nil {
		return err
	}
	m.Deliver(list)
	return nil
}

// Leave takes m out of the room and tells the others.
func (h *Hub) Leave(name string, m Member) error {
	left, err := wire.NewFrame(wire.TypeLeft, "", wire.PresencePayload{Room: name, User: m.Name()})
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r, ok := h.rooms[name]
	if !ok {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.in[m]; !ok {
		return nil
	}
	delete(r.in, m)
	if len(r.in) == 0 {
		delete(h.rooms, name)
		return nil
	}
	r.announce(left)
	return nil
}

// Publish hands the frame to every member of the room, its sender included,
// and returns how many there are.
func (h *Hub) Publish(name string, f *wire.Frame) int {
	h.mu.Lock()
	r, ok := h.rooms[name]
	h.mu.Unlock()
	if !ok {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for m := range r.in {
		m.Deliver(f)
	}
	return len(r.in)
}

func (r *members) announce(f *wire.Frame) {
	if len(r.in) >= presenceLimit {
		return
	}
	for m := range r.in {
		m.Deliver(f)
	}
}

func (r *members) users(room string) wire.RoomUsersPayload {
	names := make([]string, 0, min(len(r.in), listLimit))
	for m := range r.in {
		if len(names) == listLimit {
			break
		}
		names = append(names, m.Name())
	}
	return wire.RoomUsersPayload{Room: room, Users: names, Count: len(r.in)}
}
