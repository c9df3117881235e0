package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"

	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/presence"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

const (
	// crowd is the size above which a room no longer tells who comes and goes, types and reads: when all of a room do so,
	// as after each message, that costs the square of its size in notices.
	crowd = 64
	// listed is how many users are named to who joins, and how many who have read.
	listed = 100
	// mostRounds bounds how often a client that comes back is given what was said while it got what it had missed, before
	// the room waits for it.
	mostRounds = 10
)

func (c *session) join(ctx context.Context, env *wire.Envelope) error {
	p, err := env.Join()
	if err != nil {
		return err
	}
	_, in := c.rooms[p.Room]
	switch limit := c.server.cfg.Limits.RoomsPerConnection; {
	case !c.identity().MayEnter(p.Room):
		return &wire.RefusalError{Code: wire.CodeForbidden, Reason: "your token does not open this room"}
	case !in && len(c.rooms) >= limit:
		return &wire.RefusalError{Code: wire.CodeTooManyRooms,
			Reason: fmt.Sprintf("a connection may be in %d rooms; leave one first", limit)}
	}
	enter := c.enterRoom
	if in {
		enter = c.enterAgain
	}
	seq, err := enter(ctx, p)
	if err != nil {
		return err
	}
	c.welcomeTo(ctx, p.Room, seq, env.MessageID)
	return nil
}

// enterRoom joins the room, from which on messages are delivered, and tells those who are there before.
func (c *session) enterRoom(ctx context.Context, p wire.JoinPayload) (seq uint64, err error) {
	user := c.identity().User
	if err := c.server.cluster.presence.Enter(p.Room, user); err != nil {
		return 0, &wire.RefusalError{Code: wire.CodeServerFull, Reason: "there is no place for another user in a room"}
	}
	if seq, err = c.joinRoom(ctx, p); err != nil {
		c.server.cluster.presence.Leave(p.Room, user)
		return 0, unavailable(err)
	}
	if c.rooms == nil {
		c.rooms = make(map[string]struct{}, 1)
	}
	c.rooms[p.Room] = struct{}{}
	return seq, nil
}

// enterAgain gives a client that is in the room already what it has missed until now. What comes in between it gets twice.
func (c *session) enterAgain(ctx context.Context, p wire.JoinPayload) (seq uint64, err error) {
	seq = c.server.rooms.Seq(p.Room)
	if p.After == nil {
		return seq, nil
	}
	after := *p.After
	for round := 0; round < mostRounds && after < seq; round++ {
		if after, err = c.sendMissed(ctx, p.Room, after); err != nil {
			return 0, unavailable(err)
		}
	}
	return seq, nil
}

// joinRoom gives a client that has said what it knows all that it has missed, and then joins the room. One that is too
// far behind has to ask for the rest.
func (c *session) joinRoom(ctx context.Context, p wire.JoinPayload) (seq uint64, err error) {
	rooms := c.server.rooms
	if p.After == nil {
		return rooms.Join(ctx, p.Room, c)
	}
	after := *p.After
	for range mostRounds {
		seq, joined, err := rooms.JoinAfter(ctx, p.Room, c, after)
		if err != nil || joined {
			return seq, err
		}
		if after, err = c.sendMissed(ctx, p.Room, after); err != nil {
			return 0, err
		}
	}
	return rooms.JoinHolding(ctx, p.Room, c, after, func(after uint64) (uint64, error) {
		return c.sendMissed(ctx, p.Room, after)
	})
}

func (c *session) sendMissed(ctx context.Context, room string, after uint64) (last uint64, err error) {
	return c.sendHistory(ctx, wire.HistoryRequest{Room: room, After: &after, Limit: wire.MaxHistory}, "")
}

// welcomeTo tells who has joined a room who is there.
func (c *session) welcomeTo(ctx context.Context, room string, seq uint64, id string) {
	users, count := c.server.cluster.presence.Users(room, listed)
	reads, err := c.server.cfg.History.Reads(ctx, room)
	if err != nil {
		c.seen.Failed(ctx, instrument.ErrorHandler, err) // receipts are not worth failing for
	}
	c.answer(ctx, wire.TypeRoomUsers, "", wire.RoomUsersPayload{Room: room, Users: users, Count: count, Seq: seq, Read: furthest(reads)})
	c.succeed(ctx, id, wire.AckPayload{Seq: seq})
}

// furthest returns the marks that are furthest ahead, as many as are listed.
func furthest(reads map[string]uint64) map[string]uint64 {
	if len(reads) <= listed {
		return reads
	}
	users := slices.SortedFunc(maps.Keys(reads), func(a, b string) int {
		return cmp.Or(cmp.Compare(reads[b], reads[a]), cmp.Compare(a, b))
	})
	ahead := make(map[string]uint64, listed)
	for _, user := range users[:listed] {
		ahead[user] = reads[user]
	}
	return ahead
}

func (c *session) leave(ctx context.Context, env *wire.Envelope) error {
	p, err := env.Leave()
	if err != nil {
		return err
	}
	if err := c.in(p.Room); err != nil {
		return err
	}
	c.leaveRoom(p.Room)
	c.succeed(ctx, env.MessageID, wire.AckPayload{})
	return nil
}

func (c *session) leaveRoom(room string) {
	delete(c.rooms, room)
	c.server.rooms.Leave(room, c)
	c.server.cluster.presence.Leave(room, c.identity().User)
}

func (c *session) in(room string) error {
	if _, in := c.rooms[room]; !in {
		return &wire.RefusalError{Code: wire.CodeNotInRoom, Reason: "join the room first"}
	}
	return nil
}

// message saves a chat message, tells its sender so, and hands it to everybody in the room, the sender included.
func (c *session) message(ctx context.Context, env *wire.Envelope) error {
	p, err := validate(ctx, env, c.in)
	if err != nil {
		return err
	}
	m := history.Message{Room: p.Room, ID: env.MessageID, From: c.identity().User, Text: p.Text, Time: time.Now().UTC()}
	var carrier wire.Envelope
	propagation.TraceContext{}.Inject(ctx, &carrier)
	m.Traceparent, m.Tracestate = carrier.Traceparent, carrier.Tracestate
	saved, err := c.server.save(ctx, m)
	if err != nil {
		return unavailable(err)
	}
	c.succeed(ctx, env.MessageID, wire.AckPayload{SavedID: saved.SavedID, Seq: saved.Seq})
	// One that was saved before may not have been delivered: each node knows what it has.
	return c.server.publish(ctx, saved)
}

func validate(ctx context.Context, env *wire.Envelope, in func(string) error) (wire.MessagePayload, error) {
	_, span := startSpan(ctx, "validate")
	defer span.End()
	p, err := env.Message()
	if err == nil {
		err = in(p.Room)
	}
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	return p, err
}

// save tries to save the message until it succeeds or has taken too long. To try again is safe, because a message is
// known by its id.
func (s *Server) save(ctx context.Context, m history.Message) (history.Message, error) {
	ctx, span := startSpan(ctx, "store")
	defer span.End()
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Limits.Store)
	defer cancel()
	saved, err := backoff.Retry(ctx, func() (history.Message, error) {
		saved, _, err := s.cfg.History.Append(ctx, m)
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

// publish hands a saved message to the members of its room, here and on the other nodes.
func (s *Server) publish(ctx context.Context, m history.Message) error {
	ctx, b := s.sockets.observer.BeginBroadcast(ctx)
	err := s.rooms.Deliver(ctx, m, b)
	b.End(err)
	s.cluster.announce(ctx, m)
	return err
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
func (c *session) typing(ctx context.Context, env *wire.Envelope) error {
	p, err := env.Typing()
	if err != nil {
		return err
	}
	if err := c.in(p.Room); err != nil {
		return err
	}
	if c.server.crowded(p.Room) {
		return nil
	}
	p.User = c.identity().User
	return c.server.publishToRoom(ctx, p.Room, wire.TypeTyping, p, c)
}

// read keeps how far somebody has read, and tells the room, unless it is a crowd.
func (c *session) read(ctx context.Context, env *wire.Envelope) error {
	p, err := env.Read()
	if err != nil {
		return err
	}
	if err := c.in(p.Room); err != nil {
		return err
	}
	p.User = c.identity().User
	switch err := c.server.cfg.History.MarkRead(ctx, p.Room, p.User, p.Seq); {
	case errors.Is(err, history.ErrInvalid):
		return &wire.RefusalError{Code: wire.CodeBadPayload, Reason: "nothing with that seq was said in the room"}
	case err != nil:
		return unavailable(err)
	}
	c.succeed(ctx, env.MessageID, wire.AckPayload{})
	if c.server.crowded(p.Room) {
		return nil
	}
	return c.server.publishToRoom(ctx, p.Room, wire.TypeRead, p, nil)
}

// publishToRoom hands something that is no message to a room, here and on the other nodes.
func (s *Server) publishToRoom(ctx context.Context, room string, typ wire.Type, payload any, except *session) error {
	ctx, b := s.sockets.observer.BeginBroadcast(ctx)
	f, err := newFrame(ctx, typ, "", payload)
	if err == nil {
		if except == nil {
			s.rooms.Publish(room, f, b, nil)
		} else {
			s.rooms.Publish(room, f, b, except)
		}
		s.cluster.forward(ctx, announcement{Room: room, Type: typ, Frame: f.Data})
	}
	b.End(err)
	return err
}

// history sends a piece of a room's history.
func (c *session) history(ctx context.Context, env *wire.Envelope) error {
	p, err := env.History()
	if err != nil {
		return err
	}
	if err := c.in(p.Room); err != nil {
		return err
	}
	if _, err := c.sendHistory(ctx, p, env.MessageID); err != nil {
		return unavailable(err)
	}
	c.succeed(ctx, env.MessageID, wire.AckPayload{})
	return nil
}

// sendHistory sends what is asked for, if there is anything or somebody has asked for it by an id, and returns the
// sequence number of the last message that was sent.
func (c *session) sendHistory(ctx context.Context, p wire.HistoryRequest, id string) (last uint64, err error) {
	var messages []history.Message
	if p.After == nil {
		messages, err = c.server.cfg.History.Latest(ctx, p.Room, p.Limit)
	} else {
		last = *p.After
		messages, err = c.server.cfg.History.After(ctx, p.Room, last, p.Limit+1) // one more tells whether there are more
	}
	if err != nil {
		return last, err
	}
	piece := wire.HistoryPayload{Room: p.Room, Messages: make([]wire.HistoryMessage, 0, len(messages))}
	if len(messages) > p.Limit {
		messages, piece.More = messages[:p.Limit], true
	}
	for _, m := range messages {
		last = m.Seq
		piece.Messages = append(piece.Messages, wire.HistoryMessage{
			Seq: m.Seq, SavedID: m.SavedID, MessageID: m.ID, From: m.From, Text: m.Text, Timestamp: m.Time,
			Traceparent: m.Traceparent,
		})
	}
	if id != "" || len(messages) > 0 {
		c.answer(ctx, wire.TypeHistory, id, piece)
	}
	return last, nil
}

// presenceChanged tells the members of a room on this node who has come or gone, wherever that was.
func (s *Server) presenceChanged(change presence.Change) {
	if s.crowded(change.Room) {
		return
	}
	typ := wire.TypeLeft
	if change.Joined {
		typ = wire.TypeJoined
	}
	f, err := wire.NewFrame(typ, "", wire.PresencePayload{Room: change.Room, User: change.User})
	if err == nil { // payloads of this package can be encoded
		s.rooms.Publish(change.Room, f, nil, nil)
	}
}

func (s *Server) crowded(room string) bool {
	_, users := s.cluster.presence.Users(room, 0)
	return users > crowd
}
