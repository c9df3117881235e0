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

// Deliver hands a message that was saved to the room's members on this node, as part of the broadcast b. Messages may
// come in any order and more than once: each is delivered once, and one before which others are missing waits for
// these to be read from the history. An error means that they could not be, and that none of them was delivered; Retry
// makes that good.
func (r *Rooms) Deliver(ctx context.Context, m history.Message, b *instrument.Broadcast) error {
	room := r.find(m.Room)
	if room == nil {
		return nil
	}
	defer r.release(room)
	room.order.Lock()
	defer room.order.Unlock()
	if m.Seq > room.last+1 {
		if err := r.fetch(ctx, room, m.Seq-1); err != nil {
			return err
		}
	}
	if m.Seq <= room.last {
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
	return r.fetch(ctx, room, seq)
}

// CatchUp delivers what the histories of all rooms have and the rooms have not, as after the connection to other nodes
// was lost.
func (r *Rooms) CatchUp(ctx context.Context) error {
	return r.catchUpIn(ctx, func(*room) bool { return true })
}

// Retry is CatchUp for the rooms whose history could not be read when it had to be. It is to be called now and then.
func (r *Rooms) Retry(ctx context.Context) error {
	return r.catchUpIn(ctx, func(room *room) bool { return room.lags.Load() })
}

func (r *Rooms) catchUpIn(ctx context.Context, chosen func(*room) bool) error {
	var failed error
	for _, room := range r.use(chosen) {
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

// use returns the rooms that are chosen, each of which lasts until release.
func (r *Rooms) use(chosen func(*room) bool) []*room {
	r.mu.Lock()
	defer r.mu.Unlock()
	var used []*room
	for _, room := range r.rooms {
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
	last, err := r.cfg.History.LastSeq(ctx, room.name)
	if err != nil {
		return fmt.Errorf("catch up with the history: %w", err)
	}
	if err := r.fetch(ctx, room, last); err != nil {
		return err
	}
	room.lags.Store(false)
	return nil
}

// fetch delivers what the history has between the last message delivered and the one numbered to. The room's order is
// locked.
func (r *Rooms) fetch(ctx context.Context, room *room, to uint64) error {
	after := max(room.last, to-min(to, mostMissing))
	for after < to {
		missing, err := r.cfg.History.After(ctx, room.name, after, int(min(to-after, wire.MaxHistory)))
		if err != nil {
			room.lags.Store(true)
			return fmt.Errorf("fetch messages that did not get here: %w", err)
		}
		if len(missing) == 0 || missing[0].Seq > to {
			break // trimmed meanwhile
		}
		for _, m := range missing {
			if m.Seq > to {
				break
			}
			ctx, b := r.cfg.Observer.Broadcast(ctx)
			err := r.send(ctx, room, m, b)
			b.End(err)
			if err != nil {
				return err
			}
		}
		after = missing[len(missing)-1].Seq
	}
	return nil
}

// send hands one message to the members. The room's order is locked.
func (r *Rooms) send(ctx context.Context, room *room, m history.Message, b *instrument.Broadcast) error {
	room.last = m.Seq
	f, err := Frame(ctx, m)
	if err != nil {
		return err
	}
	frames := []*wire.Frame{f}
	if r.cfg.Disturb != nil {
		frames = r.cfg.Disturb(room.name, f)
	}
	for _, f := range frames {
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
