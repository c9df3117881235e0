// Package room holds who on this node is to get what: the members of rooms, whose messages are delivered in the order of
// their sequence numbers, and the subscribers of topics, which have none. It knows neither transports nor other nodes: a
// member is whatever can be handed a frame.
package room

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// Member is somebody in a room or at a topic.
type Member interface {
	// Deliver takes a frame that is part of a broadcast. It must neither block nor call what it was called by.
	Deliver(*wire.Frame, *instrument.Broadcast)
}

// members is a set of members, to all of which frames are handed.
type members struct {
	mu sync.Mutex
	in map[Member]struct{}
}

func (s *members) add(m Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.in == nil {
		s.in = make(map[Member]struct{}, 1)
	}
	s.in[m] = struct{}{}
}

func (s *members) remove(m Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.in, m)
}

func (s *members) deliver(f *wire.Frame, b *instrument.Broadcast, except Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for m := range s.in {
		if m != except {
			m.Deliver(f, b)
		}
	}
}

// Rooms holds the rooms that somebody on this node is in. A room comes into being with its first member and ends with
// its last; its messages are in the history.
type Rooms struct {
	cfg Config

	mu    sync.Mutex
	rooms map[string]*room
}

// Config is what Rooms work with.
type Config struct {
	// History is where messages are found that did not get here. It is required.
	History history.Store
	// Observer observes deliveries; nil observes nothing.
	Observer *instrument.Observer
	// Limit is how many rooms there may be at once; 10,000 by default.
	Limit int
	// Disturb, if there is one, replaces a message by what is delivered in its place. It is how faults of the order get
	// in, and called for one message of a room after the other.
	Disturb func(room string, f *wire.Frame) []*wire.Frame
}

// room is one room. It lasts as long as somebody uses it.
type room struct {
	members
	name  string
	users int // members, and those that are about to be; of Rooms' lock

	order sync.Mutex // held while messages are delivered, so that all members see the same order
	last  uint64     // the sequence number of the last message delivered

	lags atomic.Bool // the history has more, which could not be read
}

// New returns rooms without anybody in them.
func New(cfg Config) *Rooms {
	if cfg.Limit <= 0 {
		cfg.Limit = 10_000
	}
	return &Rooms{cfg: cfg, rooms: make(map[string]*room)}
}

// Len returns how many rooms there are.
func (r *Rooms) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.rooms)
}

// Join puts m into the room, from which on it gets what is delivered, and returns the sequence number of the last message
// before that. Being in the room already is no error. The caller must leave once for each Join without an error.
func (r *Rooms) Join(ctx context.Context, name string, m Member) (seq uint64, err error) {
	seq, _, err = r.join(ctx, name, m, nil)
	return seq, err
}

// JoinAfter is Join for a member that knows the messages up to after: only if there are none that are newer, m is put
// into the room. Otherwise it is to get those first, and ask again. What it knows already it does not get.
func (r *Rooms) JoinAfter(ctx context.Context, name string, m Member, after uint64) (seq uint64, joined bool, err error) {
	return r.join(ctx, name, m, &after)
}

func (r *Rooms) join(ctx context.Context, name string, m Member, after *uint64) (last uint64, joined bool, err error) {
	room, err := r.enter(ctx, name)
	if err != nil {
		return 0, false, err
	}
	room.order.Lock()
	defer room.order.Unlock()
	if after != nil && *after > room.last { // it may know from the history what did not get here yet
		err = r.catchUp(ctx, room)
	}
	if err != nil || after != nil && *after < room.last {
		r.release(room)
		return room.last, false, err
	}
	room.add(m)
	return room.last, true, nil
}

// Seq returns the sequence number of the last message delivered in a room that somebody is in, else 0.
func (r *Rooms) Seq(name string) uint64 {
	r.mu.Lock()
	room := r.rooms[name]
	r.mu.Unlock()
	if room == nil {
		return 0
	}
	room.order.Lock()
	defer room.order.Unlock()
	return room.last
}

// Leave takes m out of the room.
func (r *Rooms) Leave(name string, m Member) {
	r.mu.Lock()
	room := r.rooms[name]
	r.mu.Unlock()
	if room == nil {
		return
	}
	room.remove(m)
	r.release(room)
}

// enter returns the room, which lasts until release. One that is new begins where its history ends.
func (r *Rooms) enter(ctx context.Context, name string) (*room, error) {
	r.mu.Lock()
	if room := r.rooms[name]; room != nil {
		room.users++
		r.mu.Unlock()
		return room, nil
	}
	if len(r.rooms) >= r.cfg.Limit {
		r.mu.Unlock()
		return nil, &wire.RefusalError{
			Code: wire.CodeServerFull, Reason: fmt.Sprintf("there are %d rooms already; join one of them", r.cfg.Limit),
		}
	}
	created := &room{name: name, users: 1}
	created.order.Lock() // nobody gets past until it is known where the room begins
	r.rooms[name] = created
	r.mu.Unlock()

	defer created.order.Unlock()
	last, err := r.cfg.History.LastSeq(ctx, name)
	if err != nil {
		r.release(created)
		return nil, fmt.Errorf("open the room: %w", err)
	}
	created.last = last
	return created, nil
}

func (r *Rooms) release(room *room) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if room.users--; room.users == 0 {
		delete(r.rooms, room.name)
	}
}
