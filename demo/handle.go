package demo

import (
	"context"
	"errors"
	"fmt"

	"github.com/coder/websocket"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// receive takes one message: what can't be read is answered by an error, the
// rest is handled and timed.
func (c *session) receive(ctx context.Context, typ websocket.MessageType, data []byte) {
	env, err := decode(typ, data)
	if err != nil {
		c.seen.Received(c.server.observed.messageType(env.Type), len(data))
		c.seen.Error(ctx, instrument.ErrorDecode, err)
		c.answerProblem(ctx, env.MessageID, err)
		return
	}
	ctx, message := c.seen.Receive(ctx, c.server.observed.messageType(env.Type), len(data), &env)
	message.End(c.handle(ctx, &env))
}

func decode(typ websocket.MessageType, data []byte) (wire.Envelope, error) {
	if typ != websocket.MessageText {
		return wire.Envelope{}, &wire.RefusalError{Code: wire.CodeNotText, Reason: "frames have to be text"}
	}
	return wire.Decode(data)
}

// handle does what a message asks for and answers it. A request that is
// refused is answered as well and no error of this service.
func (c *session) handle(ctx context.Context, env *wire.Envelope) error {
	c.server.faults.slow(ctx)
	var err error
	recipients := 0
	switch env.Type {
	case wire.TypePing:
		err = c.answer(ctx, wire.TypePong, env.MessageID, nil)
	case wire.TypeJoin:
		err = c.join(ctx, env)
	case wire.TypeLeave:
		err = c.leave(ctx, env)
	case wire.TypeMessage:
		recipients, err = c.message(ctx, env)
	}
	var refused *wire.RefusalError
	if errors.As(err, &refused) {
		err = c.answer(ctx, wire.TypeAck, env.MessageID, wire.AckPayload{Error: refused.Code, Reason: refused.Reason})
	}
	if trace.SpanContextFromContext(ctx).IsSampled() {
		// So that every trace of a message has a record beside it.
		c.server.observed.logger.InfoContext(ctx, "message handled",
			"type", string(env.Type), "rooms", len(c.rooms), "recipients", recipients, "refused", refused != nil)
	}
	return err
}

func (c *session) join(ctx context.Context, env *wire.Envelope) error {
	p, err := env.Join()
	if err != nil {
		return err
	}
	if _, in := c.rooms[p.Room]; !in && len(c.rooms) >= c.server.cfg.RoomsPerConnection {
		return &wire.RefusalError{Code: wire.CodeTooManyRooms,
			Reason: fmt.Sprintf("a connection may be in %d rooms; leave one first", c.server.cfg.RoomsPerConnection)}
	}
	if err := c.server.hub.Join(p.Room, c); err != nil {
		return err
	}
	c.rooms[p.Room] = struct{}{}
	return c.answer(ctx, wire.TypeAck, env.MessageID, wire.AckPayload{Success: true})
}

func (c *session) leave(ctx context.Context, env *wire.Envelope) error {
	p, err := env.Leave()
	if err != nil {
		return err
	}
	if _, in := c.rooms[p.Room]; !in {
		return notInRoom()
	}
	c.leaveRoom(ctx, p.Room)
	return c.answer(ctx, wire.TypeAck, env.MessageID, wire.AckPayload{Success: true})
}

func (c *session) leaveRoom(ctx context.Context, room string) {
	delete(c.rooms, room)
	if err := c.server.hub.Leave(room, c); err != nil {
		c.seen.Error(ctx, instrument.ErrorHandler, err)
	}
}

// message accepts a chat message, tells its sender so, and hands it to
// everybody in the room, the sender included.
func (c *session) message(ctx context.Context, env *wire.Envelope) (recipients int, err error) {
	p, err := env.Message()
	if err != nil {
		return 0, err
	}
	if _, in := c.rooms[p.Room]; !in {
		return 0, notInRoom()
	}
	p.From, p.SavedID = c.name, uuid.NewString()
	frame, err := newFrame(ctx, wire.TypeMessage, env.MessageID, p)
	if err != nil {
		return 0, err
	}
	if err := c.answer(ctx, wire.TypeAck, env.MessageID, wire.AckPayload{Success: true, SavedID: p.SavedID}); err != nil {
		return 0, err
	}
	return c.server.hub.Publish(p.Room, frame), nil
}

func notInRoom() error {
	return &wire.RefusalError{Code: wire.CodeNotInRoom, Reason: "join the room first"}
}

// answerProblem tells the peer what was wrong with what it sent.
func (c *session) answerProblem(ctx context.Context, id string, err error) {
	payload := wire.ErrorPayload{Code: wire.CodeBadEnvelope, Reason: "the message can't be read"}
	var p *wire.RefusalError
	if errors.As(err, &p) {
		payload = wire.ErrorPayload{Code: p.Code, Reason: p.Reason}
	}
	if err := c.answer(ctx, wire.TypeError, id, payload); err != nil {
		c.seen.Error(ctx, instrument.ErrorHandler, err)
	}
}

func (c *session) answer(ctx context.Context, typ wire.Type, id string, payload any) error {
	f, err := newFrame(ctx, typ, id, payload)
	if err != nil {
		return err
	}
	c.Deliver(f)
	return nil
}

// newFrame makes a frame that names the trace it belongs to, if there is one
// to be found.
func newFrame(ctx context.Context, typ wire.Type, id string, payload any) (*wire.Frame, error) {
	env, err := wire.New(typ, id, payload)
	if err != nil {
		return nil, err
	}
	if trace.SpanContextFromContext(ctx).IsSampled() {
		propagation.TraceContext{}.Inject(ctx, &env)
	}
	return env.Frame()
}
