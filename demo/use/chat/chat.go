// Package chat is talking in rooms. A user who joins a room gets the messages since their last visit and all that
// follow, and sees who else is there, who types, and how far the others have read.
package chat

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"

	"github.com/sockscope/sockscope/demo/cluster"
	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/demo/room"
	"github.com/sockscope/sockscope/demo/use"
	"github.com/sockscope/sockscope/demo/wire"
)

// Config is what a Chat works with.
type Config struct {
	History history.Store
	Rooms   *room.Rooms
	Cluster *cluster.Cluster
	// RoomsPerPeer is how many rooms one connection may be in.
	RoomsPerPeer int
	// SaveTimeout is how long it is tried to save a message.
	SaveTimeout time.Duration
}

// Chat is the use.
type Chat struct{ cfg Config }

// New returns a chat.
func New(cfg Config) *Chat { return &Chat{cfg} }

// Requests implements use.Use.
func (*Chat) Requests() []wire.Type {
	return []wire.Type{wire.TypeJoin, wire.TypeLeave, wire.TypeMessage, wire.TypeTyping, wire.TypeRead, wire.TypeHistory}
}

// Begin implements use.Use.
func (c *Chat) Begin(p use.Peer) use.Visit { return &visit{Chat: c, peer: p} }

// visit is a peer that chats.
type visit struct {
	*Chat
	peer  use.Peer
	rooms map[string]struct{}
}

// Handle implements use.Visit.
func (v *visit) Handle(ctx context.Context, env *wire.Envelope) error {
	switch env.Type {
	case wire.TypeJoin:
		return v.join(ctx, env)
	case wire.TypeLeave:
		return v.leave(ctx, env)
	case wire.TypeMessage:
		return v.message(ctx, env)
	case wire.TypeTyping:
		return v.typing(ctx, env)
	case wire.TypeRead:
		return v.read(ctx, env)
	default: // see Requests
		return v.history(ctx, env)
	}
}

// Renewed implements use.Visit: it takes the peer out of the rooms that its newer token doesn't open any more.
func (v *visit) Renewed() {
	who := v.peer.Identity()
	for room := range v.rooms {
		if who.MayEnter(room) {
			continue
		}
		v.leaveRoom(room)
		use.Send(v.peer, wire.TypeLeft, wire.PresencePayload{Room: room, User: who.User})
	}
}

// End implements use.Visit.
func (v *visit) End() {
	for room := range v.rooms {
		v.leaveRoom(room)
	}
}

func (v *visit) leave(ctx context.Context, env *wire.Envelope) error {
	p, err := env.Leave()
	if err != nil {
		return err
	}
	if err := v.in(p.Room); err != nil {
		return err
	}
	v.leaveRoom(p.Room)
	use.Succeed(ctx, v.peer, env.MessageID, wire.AckPayload{})
	return nil
}

func (v *visit) leaveRoom(room string) {
	delete(v.rooms, room)
	v.cfg.Rooms.Leave(room, v.peer)
	v.cfg.Cluster.Leave(room, v.peer.Identity().User)
}

func (v *visit) in(room string) error {
	if _, in := v.rooms[room]; !in {
		return &wire.RefusalError{Code: wire.CodeNotInRoom, Reason: "join the room first"}
	}
	return nil
}

// message saves a chat message, tells its sender so, and hands it to everybody in the room, the sender included.
func (v *visit) message(ctx context.Context, env *wire.Envelope) error {
	p, err := v.validate(ctx, env)
	if err != nil {
		return err
	}
	saved, err := v.save(ctx, said(ctx, v.peer.Identity().User, env.MessageID, p))
	if err != nil {
		return unavailable(err)
	}
	use.Succeed(ctx, v.peer, env.MessageID, wire.AckPayload{SavedID: saved.SavedID, Seq: saved.Seq})
	// One that was saved before may not have been delivered: each node knows what it has.
	return v.cfg.Cluster.Deliver(ctx, saved)
}

// said returns what somebody says now, with the trace that it belongs to.
func said(ctx context.Context, user, id string, p wire.MessagePayload) history.Message {
	var carrier wire.Envelope
	propagation.TraceContext{}.Inject(ctx, &carrier)
	return history.Message{
		Room: p.Room, ID: id, From: user, Text: p.Text, Time: time.Now().UTC(),
		Traceparent: carrier.Traceparent, Tracestate: carrier.Tracestate,
	}
}

func (v *visit) validate(ctx context.Context, env *wire.Envelope) (wire.MessagePayload, error) {
	_, span := observe.StartSpan(ctx, "validate")
	defer span.End()
	p, err := env.Message()
	if err == nil {
		err = v.in(p.Room)
	}
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	return p, err
}

// Say saves a message and hands it to everybody in its room, as if somebody there had said it.
func (c *Chat) Say(ctx context.Context, m history.Message) error {
	saved, err := c.save(ctx, m)
	if err != nil {
		return err
	}
	return c.cfg.Cluster.Deliver(ctx, saved)
}

// save tries to save the message until it succeeds or has taken too long. To try again is safe, because a message is
// known by its id.
func (c *Chat) save(ctx context.Context, m history.Message) (history.Message, error) {
	ctx, span := observe.StartSpan(ctx, "store")
	defer span.End()
	ctx, cancel := context.WithTimeout(ctx, c.cfg.SaveTimeout)
	defer cancel()
	saved, err := backoff.Retry(ctx, func() (history.Message, error) {
		saved, _, err := c.cfg.History.Append(ctx, m)
		if errors.Is(err, history.ErrInvalid) || errors.Is(err, history.ErrFull) || errors.Is(err, history.ErrClosed) {
			return saved, backoff.Permanent(err)
		}
		return saved, err
	}, backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: 20 * time.Millisecond, MaxInterval: 500 * time.Millisecond, Multiplier: 2, RandomizationFactor: 0.5,
	}))
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	return saved, err
}

// unavailable is what a client is told when the store fails, together with what is to be logged of it. A refusal stays
// what it is.
func unavailable(err error) error {
	var refused *wire.RefusalError
	if errors.As(err, &refused) {
		return refused
	}
	return &wire.RefusalError{
		Code: wire.CodeUnavailable, Reason: "the message store does not answer: send again with the same messageId", Cause: err,
	}
}

// typing tells the others in the room that somebody is writing, unless it is a crowd.
func (v *visit) typing(ctx context.Context, env *wire.Envelope) error {
	p, err := env.Typing()
	if err != nil {
		return err
	}
	if err := v.in(p.Room); err != nil {
		return err
	}
	p.User = v.peer.Identity().User
	return v.cfg.Cluster.Publish(ctx, p.Room, wire.TypeTyping, p, v.peer)
}

// read keeps how far somebody has read, and tells the room, unless it is a crowd.
func (v *visit) read(ctx context.Context, env *wire.Envelope) error {
	p, err := env.Read()
	if err != nil {
		return err
	}
	if err := v.in(p.Room); err != nil {
		return err
	}
	p.User = v.peer.Identity().User
	switch err := v.cfg.History.MarkRead(ctx, p.Room, p.User, p.Seq); {
	case errors.Is(err, history.ErrInvalid):
		return &wire.RefusalError{Code: wire.CodeBadPayload, Reason: "nothing with that seq was said in the room"}
	case err != nil:
		return unavailable(err)
	}
	use.Succeed(ctx, v.peer, env.MessageID, wire.AckPayload{})
	return v.cfg.Cluster.Publish(ctx, p.Room, wire.TypeRead, p, nil)
}
