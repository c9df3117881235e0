package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/internal/transport"
)

// user is the user as whom a probe connects.
const user = "probe"

// phase names a part of a probe.
type phase string

const (
	connect  phase = "connect"
	echo     phase = "echo"
	delivery phase = "delivery"
)

// result is the result of a probe.
type result struct {
	passed []step // in order
	failed phase  // empty if none has
	err    error  // why it has failed
	// traceID is the id of the newest trace that the target has named, empty if there was none.
	traceID string
	// expires is until when the target's certificates hold, zero without TLS.
	expires time.Time
}

// step is a phase that was passed.
type step struct {
	phase   phase
	took    time.Duration
	traceID string // of the target's work meanwhile
}

// pass appends a phase that has succeeded.
func (r *result) pass(p phase, took time.Duration, answer frame) {
	r.passed = append(r.passed, step{p, took, answer.traceID()})
	r.note(answer)
}

func (r *result) note(answer frame) {
	if id := answer.traceID(); id != "" {
		r.traceID = id
	}
}

// fail ends the result with a phase that has failed.
func (r *result) fail(p phase, err error) result {
	r.failed, r.err = p, err
	return *r
}

// probe goes through all phases until one fails.
func (p *Prober) probe(ctx context.Context, t Target) (r result) {
	late := fmt.Errorf("not done within the probe's timeout of %v", p.cfg.Timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, p.cfg.Timeout, late)
	defer cancel()
	var presented certificates
	ctx = presented.watch(ctx)
	defer func() { r.expires = presented.expires() }()
	token, err := p.cfg.Tokens(ctx, t.Server, user)
	if err != nil {
		return r.fail(connect, because(ctx, err))
	}
	start := time.Now()
	sender, receiver, err := p.connectTwo(ctx, t, token)
	if err != nil {
		return r.fail(connect, err)
	}
	defer closeAll(sender, receiver)
	r.pass(connect, time.Since(start), frame{})

	ping, err := sender.ask(ctx, wire.TypePing, nil)
	if err != nil {
		return r.fail(echo, err)
	}
	r.pass(echo, ping.took(), ping)
	return deliver(ctx, r, sender, receiver, t.room())
}

// connectTwo opens two connections at once. If either fails, it closes the other.
func (p *Prober) connectTwo(ctx context.Context, t Target, token string) (sender, receiver *peer, err error) {
	var both errgroup.Group
	from := p.cfg.Transport
	if !from.Sends() {
		from = transport.WebSocket
	}
	both.Go(func() (err error) {
		sender, err = p.dial(ctx, from, t, token)
		return err
	})
	both.Go(func() (err error) {
		receiver, err = p.dial(ctx, p.cfg.Transport, t, token)
		return err
	})
	if err := both.Wait(); err != nil {
		closeAll(sender, receiver)
		return nil, nil, err
	}
	return sender, receiver, nil
}

// deliver sends a message on one connection to a room that both have joined, and waits for it on the other. Both the
// acknowledgement and the message must arrive.
func deliver(ctx context.Context, r result, sender, receiver *peer, room string) result {
	for _, peer := range []*peer{receiver, sender} {
		if _, err := peer.request(ctx, wire.TypeJoin, wire.JoinPayload{Room: room}); err != nil {
			return r.fail(delivery, fmt.Errorf("join the room: %w", err))
		}
	}
	ack, err := sender.request(ctx, wire.TypeMessage, wire.MessagePayload{Room: room, Text: "probe"})
	r.note(ack)
	if err != nil {
		return r.fail(delivery, fmt.Errorf("send a message: %w", err))
	}
	arrived, err := receiver.await(ctx, func(f frame) bool {
		return f.Type == wire.TypeMessage && f.MessageID == ack.MessageID
	})
	if err != nil {
		return r.fail(delivery, fmt.Errorf("the message was acknowledged, but does not arrive: %w", err))
	}
	arrived.asked = ack.asked
	r.pass(delivery, arrived.took(), arrived)
	return r
}

// request sends a request and waits for its acknowledgement. It fails if the request is refused, but returns the answer
// in that case, too.
func (p *peer) request(ctx context.Context, typ wire.Type, payload any) (frame, error) {
	answer, err := p.ask(ctx, typ, payload)
	if err != nil {
		return answer, err
	}
	var ack wire.AckPayload
	if err := json.Unmarshal(answer.Payload, &ack); err != nil {
		return answer, fmt.Errorf("the acknowledgement can't be read: %w", err)
	}
	if !ack.Success {
		return answer, fmt.Errorf("the server refused: %s: %s", ack.Error, ack.Reason)
	}
	return answer, nil
}

// because replaces the error of an ended ctx by the cause of its end.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.DeadlineExceeded) {
		return cause
	}
	return err
}
