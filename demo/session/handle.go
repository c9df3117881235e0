package session

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/demo/use"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// Receive takes one message, unless the session is at its end, and reports whether it has: what can't be read is
// answered by an error, the rest is handled and timed. A panic of what handles it is counted and logged, and goes on:
// the transport has to end the connection.
func (c *Session) Receive(ctx context.Context, data []byte, decode func([]byte) (wire.Envelope, error)) (taken bool) {
	c.handling.Lock()
	defer c.handling.Unlock()
	c.sessions.received.Add(1)
	if c.sealed {
		c.conn.Received(c.observer.Other(), len(data))
		return false
	}
	env, err := c.admit(decode(data))
	if err != nil {
		c.conn.Received(c.observer.TypeOf(env.Type), len(data))
		c.refuse(ctx, env.MessageID, err)
		return true
	}
	_ = c.conn.Handle(ctx, c.observer.TypeOf(env.Type), len(data), &env, func(ctx context.Context) error {
		defer c.logPanic(ctx)
		return c.answer(ctx, &env)
	}) // an error has been counted and logged
	return true
}

// logPanic logs a panic of what handles a message, where the message's trace is known.
func (c *Session) logPanic(ctx context.Context) {
	if v := recover(); v != nil {
		c.sessions.cfg.Logger.ErrorContext(ctx, "panic", "error", fmt.Sprint(v), "stack", string(debug.Stack()))
		panic(v) //nolint:forbidigo // the handler's own
	}
}

// Unreadable counts a message that the transport has refused itself.
func (c *Session) Unreadable(ctx context.Context, size int, err error) {
	c.sessions.received.Add(1)
	c.conn.Received(c.observer.Other(), size)
	c.conn.Failed(ctx, instrument.ErrorDecode, err)
}

// admit decides whether a message that was decoded is handled: not when there are too many, whether they can be read or
// not, nor while nobody knows who sends it.
func (c *Session) admit(env wire.Envelope, err error) (wire.Envelope, error) {
	if !c.limiter.Allow() {
		c.tooMany++
		return env, &wire.RefusalError{Code: wire.CodeRateLimited, Reason: "that are too many messages: send them more slowly"}
	}
	c.tooMany = max(0, c.tooMany-1)
	if err != nil {
		return env, err
	}
	if env.Type != wire.TypeAuth && env.Type != wire.TypePing && c.Identity().User == "" {
		return env, &wire.RefusalError{Code: wire.CodeUnauthorized, Reason: "send auth with a token first"}
	}
	return env, nil
}

// refuse tells the peer what was wrong with what it sent, and gives up one that goes on regardless.
func (c *Session) refuse(ctx context.Context, id string, err error) {
	var refused *wire.RefusalError
	if !errors.As(err, &refused) {
		refused = &wire.RefusalError{Code: wire.CodeBadEnvelope, Reason: "the message can't be read"}
	}
	switch refused.Code {
	case wire.CodeRateLimited: // the connection's end tells of those who go on
		if c.tooMany > c.sessions.cfg.MessageBurst {
			c.sealed = true
			c.closeSoon(instrument.ReasonPolicy, "sends too many messages")
		}
	case wire.CodeUnauthorized:
		c.conn.Failed(ctx, instrument.ErrorAuth, err)
	default:
		c.conn.Failed(ctx, instrument.ErrorDecode, err)
	}
	use.Answer(ctx, c, wire.TypeError, id, wire.ErrorPayload{Code: refused.Code, Reason: refused.Reason})
}

// answer does what a message asks for and answers it. A request that is refused is answered as well and no error of
// this service.
func (c *Session) answer(ctx context.Context, env *wire.Envelope) error {
	err := c.sessions.handle(ctx, c, env)
	var refused *wire.RefusalError
	if errors.As(err, &refused) {
		use.Answer(ctx, c, wire.TypeAck, env.MessageID, wire.AckPayload{Error: refused.Code, Reason: refused.Reason})
		err = errors.Unwrap(refused)
	}
	if trace.SpanContextFromContext(ctx).IsSampled() {
		// So that every trace of a message has a record beside it.
		c.sessions.cfg.Logger.InfoContext(ctx, "message handled", "type", string(env.Type), "refused", refused != nil)
	}
	return err
}

// do is the Handler of all sessions.
func (c *Session) do(ctx context.Context, env *wire.Envelope) error {
	if env.Type == wire.TypeAuth {
		return c.login(ctx, env)
	}
	if i, ok := c.sessions.uses[env.Type]; ok {
		return c.visits[i].Handle(ctx, env)
	}
	use.Answer(ctx, c, wire.TypePong, env.MessageID, nil) // the decoder lets only ping through besides
	return nil
}

// login takes a token that the handshake did not bring along, or a newer one of the same user.
func (c *Session) login(ctx context.Context, env *wire.Envelope) error {
	p, err := env.Auth()
	if err != nil {
		return err
	}
	who, err := c.sessions.cfg.Verify(ctx, p.Token)
	if user := c.Identity().User; err == nil && user != "" && user != who.User {
		err = errors.New("the token is another user's: open another connection")
	}
	if err == nil && c.expired(time.Now()) {
		err = errors.New("too late: the token before has expired, and the connection ends")
	}
	if err != nil {
		c.conn.Failed(ctx, instrument.ErrorAuth, err)
		return &wire.RefusalError{Code: wire.CodeUnauthorized, Reason: err.Error()}
	}
	c.authenticate(who)
	for _, v := range c.visits {
		v.Renewed()
	}
	use.Succeed(ctx, c, env.MessageID, wire.AckPayload{})
	return nil
}
