package demo

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// receive takes one message, unless the session is at its end, and reports whether it has: what can't be read is answered
// by an error, the rest is handled and timed.
func (c *session) receive(ctx context.Context, data []byte, decode func([]byte) (wire.Envelope, error)) (taken bool) {
	c.handling.Lock()
	defer c.handling.Unlock()
	c.server.received.Add(1)
	if c.sealed {
		c.seen.Received(c.observed.other, len(data))
		return false
	}
	env, err := c.admit(decode(data))
	if err != nil {
		c.seen.Received(c.observed.messageType(env.Type), len(data))
		c.refuse(ctx, env.MessageID, err)
		return true
	}
	ctx, message := c.seen.BeginMessage(ctx, c.observed.messageType(env.Type), len(data), &env)
	message.End(c.handle(ctx, &env))
	return true
}

// admit decides whether a message that was decoded is handled: not when there are too many, whether they can be read or
// not, nor while nobody knows who sends it.
func (c *session) admit(env wire.Envelope, err error) (wire.Envelope, error) {
	if !c.limiter.Allow() {
		c.tooMany++
		return env, &wire.RefusalError{Code: wire.CodeRateLimited, Reason: "that are too many messages: send them more slowly"}
	}
	c.tooMany = max(0, c.tooMany-1)
	if err != nil {
		return env, err
	}
	if env.Type != wire.TypeAuth && env.Type != wire.TypePing && c.identity().User == "" {
		return env, &wire.RefusalError{Code: wire.CodeUnauthorized, Reason: "send auth with a token first"}
	}
	return env, nil
}

// refuse tells the peer what was wrong with what it sent, and gives up one that goes on regardless.
func (c *session) refuse(ctx context.Context, id string, err error) {
	var refused *wire.RefusalError
	if !errors.As(err, &refused) {
		refused = &wire.RefusalError{Code: wire.CodeBadEnvelope, Reason: "the message can't be read"}
	}
	switch refused.Code {
	case wire.CodeRateLimited:
		c.seen.Dropped(instrument.DropRateLimited, 1)
		if c.tooMany > c.server.cfg.Limits.MessageBurst {
			c.sealed = true
			c.closeSoon(instrument.ReasonPolicy, codePolicy, "sends too many messages")
		}
	case wire.CodeUnauthorized:
		c.seen.Failed(ctx, instrument.ErrorAuth, err)
	default:
		c.seen.Failed(ctx, instrument.ErrorDecode, err)
	}
	c.answer(ctx, wire.TypeError, id, wire.ErrorPayload{Code: refused.Code, Reason: refused.Reason})
}

// handle does what a message asks for and answers it. A request that is refused is answered as well and no error of this
// service.
func (c *session) handle(ctx context.Context, env *wire.Envelope) error {
	c.server.faults.handling(ctx, env.Type)
	err := c.do(ctx, env)
	var refused *wire.RefusalError
	if errors.As(err, &refused) {
		c.answer(ctx, wire.TypeAck, env.MessageID, wire.AckPayload{Error: refused.Code, Reason: refused.Reason})
		err = errors.Unwrap(refused)
	}
	if trace.SpanContextFromContext(ctx).IsSampled() {
		// So that every trace of a message has a record beside it.
		c.server.logger.InfoContext(ctx, "message handled",
			"type", string(env.Type), "rooms", len(c.rooms), "refused", refused != nil)
	}
	return err
}

func (c *session) do(ctx context.Context, env *wire.Envelope) error {
	switch env.Type {
	case wire.TypeAuth:
		return c.login(ctx, env)
	case wire.TypeJoin:
		return c.join(ctx, env)
	case wire.TypeLeave:
		return c.leave(ctx, env)
	case wire.TypeMessage:
		return c.message(ctx, env)
	case wire.TypeTyping:
		return c.typing(ctx, env)
	case wire.TypeRead:
		return c.read(ctx, env)
	case wire.TypeHistory:
		return c.history(ctx, env)
	case wire.TypeSubscribe:
		return c.subscribe(ctx, env)
	case wire.TypeUnsubscribe:
		return c.unsubscribe(ctx, env)
	case wire.TypeNotify:
		return c.notify(ctx, env)
	default: // the decoder lets only one more through
		c.answer(ctx, wire.TypePong, env.MessageID, nil)
		return nil
	}
}

// login takes a token that the handshake did not bring along, or a newer one of the same user.
func (c *session) login(ctx context.Context, env *wire.Envelope) error {
	p, err := env.Auth()
	if err != nil {
		return err
	}
	who, err := c.server.verify(ctx, p.Token)
	if user := c.identity().User; err == nil && user != "" && user != who.User {
		err = errors.New("the token is another user's: open another connection")
	}
	if err == nil && c.expired(time.Now()) {
		err = errors.New("too late: the token before has expired, and the connection ends")
	}
	if err != nil {
		c.seen.Failed(ctx, instrument.ErrorAuth, err)
		return &wire.RefusalError{Code: wire.CodeUnauthorized, Reason: err.Error()}
	}
	c.authenticate(who)
	c.leaveClosed(who)
	c.succeed(ctx, env.MessageID, wire.AckPayload{})
	return nil
}

// leaveClosed takes the session out of the rooms that its newer token doesn't open any more.
func (c *session) leaveClosed(who auth.Identity) {
	for room := range c.rooms {
		if who.MayEnter(room) {
			continue
		}
		c.leaveRoom(room)
		c.send(wire.TypeLeft, wire.PresencePayload{Room: room, User: who.User})
	}
}

func (c *session) succeed(ctx context.Context, id string, p wire.AckPayload) {
	p.Success = true
	c.answer(ctx, wire.TypeAck, id, p)
}

// answer queues a frame that names the trace it belongs to, if there is one to be found.
func (c *session) answer(ctx context.Context, typ wire.Type, id string, payload any) {
	f, err := newFrame(ctx, typ, id, payload)
	if err != nil {
		c.seen.Failed(ctx, instrument.ErrorHandler, err)
		return
	}
	c.Deliver(f, nil)
}

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
