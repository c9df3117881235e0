// Package room holds who on this node is to get what: the members of rooms, whose messages are delivered in the order
// of their sequence numbers, and the subscribers of topics, which have none. It knows neither transports nor other
// nodes: a member is whatever can be handed a frame.
package room

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

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

func (s *members) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.in)
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
	// Limit is how many rooms there may be at once; DefaultLimit by default.
	Limit int
	// Order is that of the messages; InOrder by default.
	Order Order
}

// DefaultLimit is how many rooms there may be at once where nobody says.
const DefaultLimit = 10_000

// Order says what is delivered of streams of frames that are numbered, and when.
type Order interface {
	// Next returns what is delivered now that a frame is next. It is called for one frame of a stream after the other.
	Next(stream string, f *wire.Frame) []*wire.Frame
}

// InOrder delivers each frame when it is next.
type InOrder struct{}

// Next implements Order.
func (InOrder) Next(_ string, f *wire.Frame) []*wire.Frame { return []*wire.Frame{f} }

// room is one room. It lasts as long as somebody uses it.
type room struct {
	members
	name  string
	users int // members, and those that are about to be; of Rooms' lock

	order   sync.Mutex // held while messages are delivered, so that all members see the same order; of all that follows
	opened  bool       // it is known where the room begins; nobody is in it before
	failed  error      // why that could not be learned
	last    uint64     // the sequence number of the last message delivered
	epoch   uint64     // how often numbers had to be given again
	savedID string     // of that message, if it is known
	said    time.Time  // when the newest message was said that is known to be in the history

	lags atomic.Bool // the history may have more
}

// New returns rooms without anybody in them.
func New(cfg Config) *Rooms {
	if cfg.Limit <= 0 {
		cfg.Limit = DefaultLimit
	}
	if cfg.Order == nil {
		cfg.Order = InOrder{}
	}
	return &Rooms{cfg: cfg, rooms: make(map[string]*room)}
}

// Len returns how many rooms there are.
func (r *Rooms) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.rooms)
}

// Members returns how many members of a room are on this node.
func (r *Rooms) Members(name string) int {
	r.mu.Lock()
	room := r.rooms[name]
	r.mu.Unlock()
	if room == nil {
		return 0
	}
	return room.len()
}

// Join puts m into the room, from which on it gets what is delivered, and returns the sequence number of the last
// message before that. Being in the room already is no error. The caller must leave once for each Join without an
// error.
func (r *Rooms) Join(ctx context.Context, name string, m Member) (seq uint64, err error) {
	seq, _, err = r.join(ctx, name, m, nil, nil)
	return seq, err
}

// JoinAfter is Join for a member that knows the messages up to after: only if there are none that are newer, m is put
// into the room. Otherwise the caller gives it those first, and asks again. Known messages are not resent.
func (r *Rooms) JoinAfter(ctx context.Context, name string, m Member, after uint64) (seq uint64, joined bool, err error) {
	return r.join(ctx, name, m, &after, nil)
}

// JoinHolding is Join for a member that knows the messages up to after and cannot keep up with a room that goes on
// while it gets the newer ones: nothing is delivered to anybody while missed gives it a last piece of those, and
// returns how far that goes. If there are still more, it is to ask for them once it is in the room.
func (r *Rooms) JoinHolding(ctx context.Context, name string, m Member, after uint64, missed func(after uint64) (uint64, error)) (seq uint64, err error) {
	seq, _, err = r.join(ctx, name, m, &after, missed)
	return seq, err
}

func (r *Rooms) join(
	ctx context.Context, name string, m Member, after *uint64, missed func(uint64) (uint64, error),
) (last uint64, joined bool, err error) {
	room, err := r.enter(name)
	if err != nil {
		return 0, false, err
	}
	room.order.Lock()
	defer room.order.Unlock()
	if err := r.open(ctx, room); err != nil {
		r.release(room)
		return 0, false, err
	}
	if missed != nil && *after < room.last {
		*after, err = missed(*after)
	}
	if err == nil && after != nil && *after > room.last { // it may know from the history what did not get here yet
		err = r.catchUp(ctx, room)
	}
	if err != nil || missed == nil && after != nil && *after < room.last {
		r.release(room)
		return room.last, false, err
	}
	room.add(m)
	return room.last, true, nil
}

// Seq returns the sequence number of the last message delivered in a room that somebody is in, else 0.
func (r *Rooms) Seq(name string) (seq uint64) {
	r.Mark(name, func(last uint64) { seq = last })
	return seq
}

// Mark calls mark with the number that Seq returns, while nothing is delivered: what mark hands to a member comes after
// the message of that number and before the next. It must not block.
func (r *Rooms) Mark(name string, mark func(seq uint64)) {
	r.mu.Lock()
	room := r.rooms[name]
	r.mu.Unlock()
	if room == nil {
		mark(0)
		return
	}
	room.order.Lock()
	defer room.order.Unlock()
	mark(room.last)
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

// enter returns the room, which lasts until release.
func (r *Rooms) enter(name string) (*room, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if room := r.rooms[name]; room != nil {
		room.users++
		return room, nil
	}
	if len(r.rooms) >= r.cfg.Limit {
		return nil, &wire.RefusalError{
			Code: wire.CodeServerFull, Reason: fmt.Sprintf("there are %d rooms already; join one of them", r.cfg.Limit),
		}
	}
	created := &room{name: name, users: 1}
	r.rooms[name] = created
	return created, nil
}

// open has the room begin where its history ends, unless it has begun. If the history fails, so do all who wait for the
// room, as they would only wait for the same one after the other; those who come later try anew. The room's order is
// locked.
func (r *Rooms) open(ctx context.Context, room *room) error {
	if room.opened || room.failed != nil {
		return room.failed
	}
	newest, err := r.newest(ctx, room.name)
	if err != nil {
		err = fmt.Errorf("open the room: %w", err)
		if ctx.Err() == nil { // else it is not the history that failed
			room.failed = err
			r.abandon(room)
		}
		return err
	}
	room.opened = true
	room.reach(newest)
	return nil
}

// newest returns the newest message that the history has of a room, the zero Message if there is none.
func (r *Rooms) newest(ctx context.Context, name string) (m history.Message, err error) {
	latest, err := r.cfg.History.Latest(ctx, name, 1)
	if err != nil || len(latest) == 0 {
		return m, err
	}
	return latest[0], nil
}

// abandon has the room be another one for those who come from now on.
func (r *Rooms) abandon(room *room) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.rooms, room.name)
}

func (r *Rooms) release(room *room) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if room.users--; room.users == 0 && r.rooms[room.name] == room {
		delete(r.rooms, room.name)
	}
}

// reach notes that m is the last message delivered. The room's order is locked.
func (r *room) reach(m history.Message) {
	r.last, r.savedID = m.Seq, m.SavedID
	r.know(m)
}

// know notes that m is in the history, and delivered if it ever is to be.
func (r *room) know(m history.Message) {
	if m.Time.After(r.said) {
		r.said = m.Time
	}
}

// contradicts reports whether m has the number of the last message delivered and is another one.
func (r *room) contradicts(m history.Message) bool {
	return m.Seq == r.last && r.savedID != "" && m.SavedID != r.savedID
}
