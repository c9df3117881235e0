package room

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/propagation"

	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// mostMissing is how many messages of a room are fetched that did not get here. Members see a gap before those, and can
// ask for the rest.
const mostMissing = 1000

// mostRetried is with how many rooms Retry catches up at once: it must not add to what a history suffers from already.
const mostRetried = 500

// Deliver hands a message that was saved to the room's members on this node, as part of the broadcast b. Messages may
// come in any order and more than once: each is delivered once, and one before which others are missing waits for these
// to be read from the history. If that has forgotten the room, or lost a part of it, and gives numbers again, they are
// delivered again. An error means that the history could not be read, and that nothing was delivered; Retry makes that
// good.
func (r *Rooms) Deliver(ctx context.Context, m history.Message, b *instrument.Broadcast) error {
	room := r.find(m.Room)
	if room == nil {
		return nil
	}
	defer r.release(room)
	room.order.Lock()
	defer room.order.Unlock()
	if !room.opened {
		return nil // it is to begin where the history ends, after this message
	}
	if m.Seq <= room.last && m.Time.After(room.said) { // a repetition is not newer than what was delivered
		if err := r.recount(ctx, room); err != nil {
			return err
		}
	}
	if m.Seq > room.last+1 {
		if err := r.fetch(ctx, room, m.Seq-1); err != nil {
			return err
		}
	}
	if m.Seq <= room.last {
		room.know(m)
		return nil
	}
	return r.send(ctx, room, m, b)
}

// Reach delivers what is missing in a room that is known to be at seq. It costs nothing where nothing is.
func (r *Rooms) Reach(ctx context.Context, name string, seq uint64) error {
	room := r.find(name)
	if room == nil {
		return nil
	}
	defer r.release(room)
	room.order.Lock()
	defer room.order.Unlock()
	if !room.opened {
		return nil
	}
	return r.fetch(ctx, room, seq)
}

// CatchUp delivers what the histories of all rooms have and the rooms have not, as after the connection to other nodes
// was lost.
func (r *Rooms) CatchUp(ctx context.Context) error {
	return r.catchUpIn(ctx, r.use(func(*room) bool { return true }, r.cfg.Limit))
}

// Doubt has Retry catch up with all histories bit by bit, as after another node is gone, which may have saved what it
// has told nobody, or after announcements were dropped.
func (r *Rooms) Doubt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, room := range r.rooms {
		room.lags.Store(true)
	}
}

// Retry is CatchUp for the rooms whose history could not be read when it had to be or is in doubt, for some of them if
// there are many. It is to be called now and then.
func (r *Rooms) Retry(ctx context.Context) error {
	return r.catchUpIn(ctx, r.use(func(room *room) bool { return room.lags.Load() }, mostRetried))
}

func (r *Rooms) catchUpIn(ctx context.Context, rooms []*room) error {
	var failed error
	for _, room := range rooms {
		room.lags.Store(true)
		if failed == nil { // the next would hardly do better
			room.order.Lock()
			failed = r.catchUp(ctx, room)
			room.order.Unlock()
		}
		r.release(room)
	}
	return failed
}

// find returns the room, which lasts until release, nil if there is none.
func (r *Rooms) find(name string) *room {
	r.mu.Lock()
	defer r.mu.Unlock()
	room := r.rooms[name]
	if room != nil {
		room.users++
	}
	return room
}

// use returns rooms that are chosen, at most limit, each of which lasts until release.
func (r *Rooms) use(chosen func(*room) bool, limit int) []*room {
	r.mu.Lock()
	defer r.mu.Unlock()
	var used []*room
	for _, room := range r.rooms { // in any order, so that every room has its turn
		if len(used) == limit {
			break
		}
		if chosen(room) {
			room.users++
			used = append(used, room)
		}
	}
	return used
}

// catchUp delivers what the history has and the room has not. The room's order is locked.
func (r *Rooms) catchUp(ctx context.Context, room *room) error {
	room.lags.Store(true)
	if room.opened {
		newest, err := r.newest(ctx, room.name)
		if err != nil {
			return fmt.Errorf("catch up with the history: %w", err)
		}
		if newest.Seq < room.last || room.contradicts(newest) {
			if err := r.rewind(ctx, room); err != nil {
				return err
			}
		}
		if err := r.fetch(ctx, room, newest.Seq); err != nil {
			return err
		}
	}
	room.lags.Store(false)
	return nil
}

// recount rewinds the room if the history no longer has the last message delivered. The room's order is locked.
func (r *Rooms) recount(ctx context.Context, room *room) error {
	if room.last == 0 {
		return nil
	}
	_, _, err := r.after(ctx, room, room.last, 1)
	return err
}

// rewind has the room go back to where its history is, which has forgotten it or has lost its newest messages: what was
// said since the newest that was delivered is yet to be, as far as one answer of the history goes. The room's order is
// locked.
func (r *Rooms) rewind(ctx context.Context, room *room) error {
	latest, err := r.cfg.History.Latest(ctx, room.name, wire.MaxHistory)
	if err != nil {
		room.lags.Store(true)
		return fmt.Errorf("find where the history counts anew: %w", err)
	}
	room.last, room.savedID = 0, ""
	room.epoch++
	if len(latest) > 0 {
		room.last = latest[0].Seq - 1
	}
	for _, m := range latest {
		if !m.Time.After(room.said) {
			room.last, room.savedID = m.Seq, m.SavedID
		}
	}
	return nil
}

// after returns messages of the history after seq. If seq is that of the last message delivered, and the history no
// longer has this, the room is rewound instead. The room's order is locked.
func (r *Rooms) after(ctx context.Context, room *room, seq uint64, limit int) (_ []history.Message, rewound bool, err error) {
	check := seq == room.last && room.savedID != ""
	if check {
		seq-- // costs no call of its own
		limit++
	}
	messages, err := r.cfg.History.After(ctx, room.name, seq, limit)
	switch {
	case err != nil:
		room.lags.Store(true)
		return nil, false, fmt.Errorf("fetch messages that did not get here: %w", err)
	case check && (len(messages) == 0 || room.contradicts(messages[0])):
		return nil, true, r.rewind(ctx, room)
	case check && messages[0].Seq == room.last:
		messages = messages[1:]
	}
	return messages, false, nil
}

// fetch delivers what the history has between the last message delivered and the one numbered to. The room's order is
// locked.
func (r *Rooms) fetch(ctx context.Context, room *room, to uint64) error {
	for {
		after := max(room.last, to-min(to, mostMissing))
		if after >= to {
			return nil
		}
		missing, rewound, err := r.after(ctx, room, after, int(min(to-after, wire.MaxHistory)))
		switch {
		case err != nil:
			return err
		case rewound:
			continue // from there
		case len(missing) == 0 || missing[0].Seq > to:
			return nil // trimmed meanwhile
		}
		for _, m := range missing {
			if m.Seq > to {
				break
			}
			ctx, b := r.cfg.Observer.BeginBroadcast(ctx)
			err := r.send(ctx, room, m, b)
			b.End(err)
			if err != nil {
				return err
			}
		}
	}
}

// send hands one message to the members. The room's order is locked.
func (r *Rooms) send(ctx context.Context, room *room, m history.Message, b *instrument.Broadcast) error {
	room.reach(m)
	f, err := Frame(ctx, m)
	if err != nil {
		return err
	}
	f.Room, f.Epoch = m.Room, room.epoch
	for _, f := range r.cfg.Order.Next(room.name, f) {
		room.deliver(f, b, nil)
	}
	return nil
}

// Publish hands a frame that is no message, and has no place in their order, to the room's members on this node.
func (r *Rooms) Publish(name string, f *wire.Frame, b *instrument.Broadcast, except Member) {
	r.mu.Lock()
	room := r.rooms[name]
	r.mu.Unlock()
	if room != nil {
		room.deliver(f, b, except)
	}
}

// Frame returns what members get of a message: with the trace context of ctx or, without one there, of who sent it.
func Frame(ctx context.Context, m history.Message) (*wire.Frame, error) {
	env, err := wire.New(wire.TypeMessage, m.ID,
		wire.MessagePayload{Room: m.Room, Text: m.Text, SavedID: m.SavedID, From: m.From})
	if err != nil {
		return nil, err
	}
	env.Seq, env.Timestamp = m.Seq, m.Time
	propagation.TraceContext{}.Inject(ctx, &env)
	if env.Traceparent == "" {
		env.Traceparent, env.Tracestate = m.Traceparent, m.Tracestate
	}
	return env.Frame()
}
