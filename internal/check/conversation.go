package check

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/wire"
)

// exchanged is one message of ours that the demo acknowledged.
type exchanged struct {
	id    string
	text  string            // what was said; telemetry must not contain it
	ours  trace.SpanContext // the context that our message carried
	trace trace.SpanContext // the demo's span for it; not valid if it was not sampled
}

// A conversation sends messages into a room of its own and waits for their acknowledgement. It connects when needed,
// and again after a failure. It is for one goroutine at a time.
type conversation struct {
	demo string
	room string
	http *http.Client

	conn *websocket.Conn
	said int
}

// say sends one message and returns when the demo has acknowledged it.
func (c *conversation) say(ctx context.Context) (exchanged, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	begin := time.Now()
	x, err := c.attempt(ctx)
	if err == nil {
		c.said++
		return x, nil
	}
	if c.conn != nil {
		_ = c.conn.CloseNow() // its state is unknown
		c.conn = nil
	}
	return exchanged{}, &failure{missing: "the demo does not answer: " + reason(err, time.Since(begin)), url: c.address()}
}

func (c *conversation) attempt(ctx context.Context) (exchanged, error) {
	if c.conn == nil {
		token, err := auth.RequestToken(ctx, c.http, strings.TrimSuffix(c.demo, "/")+"/auth/token", "sockscope-check")
		if err != nil {
			return exchanged{}, err
		}
		conn, _, err := websocket.Dial(ctx, c.address(), &websocket.DialOptions{ //nolint:bodyclose // there is none to close
			HTTPClient: c.http, HTTPHeader: http.Header{"Authorization": {"Bearer " + token}},
		})
		if err != nil {
			return exchanged{}, err
		}
		c.conn = conn
		if _, err := c.write(ctx, wire.TypeJoin, wire.JoinPayload{Room: c.room}, trace.SpanContext{}); err != nil {
			return exchanged{}, fmt.Errorf("join the room %s: %w", c.room, err)
		}
	}
	x := exchanged{text: "marked by sockscope check " + uuid.NewString(), ours: newSpanContext()}
	var err error
	if x.id, err = c.write(ctx, wire.TypeMessage, wire.MessagePayload{Room: c.room, Text: x.text}, x.ours); err != nil {
		return exchanged{}, fmt.Errorf("send a message: %w", err)
	}
	ack, err := c.awaitAck(ctx, x.id)
	if err != nil {
		return exchanged{}, err
	}
	x.trace = trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), &ack))
	return x, nil
}

// write sends one message that carries the span context, if it is valid, and returns the message's id.
func (c *conversation) write(ctx context.Context, typ wire.Type, payload any, carried trace.SpanContext) (string, error) {
	env, err := wire.New(typ, "", payload)
	if err != nil {
		return "", err
	}
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(ctx, carried), &env)
	return env.MessageID, wsjson.Write(ctx, c.conn, env)
}

// awaitAck reads until the demo acknowledges the message, and ignores messages of others.
func (c *conversation) awaitAck(ctx context.Context, id string) (wire.Envelope, error) {
	for {
		var env wire.Envelope
		if err := wsjson.Read(ctx, c.conn, &env); err != nil {
			return env, fmt.Errorf("wait for the acknowledgement of message %s: %w", id, err)
		}
		if env.MessageID != id || (env.Type != wire.TypeAck && env.Type != wire.TypeError) {
			continue
		}
		var ack wire.AckPayload
		if err := json.Unmarshal(env.Payload, &ack); err != nil {
			return env, fmt.Errorf("read the acknowledgement of message %s: %w", id, err)
		}
		if !ack.Success {
			return env, fmt.Errorf("the message was refused: %s", excerpt(env.Payload))
		}
		return env, nil
	}
}

func (c *conversation) address() string {
	return strings.TrimSuffix(c.demo, "/") + "/ws"
}

// end closes the connection in the regular way, so that the check is not counted as a dropped connection.
func (c *conversation) end() {
	if c.conn != nil {
		_ = c.conn.Close(websocket.StatusNormalClosure, "")
	}
}

func (r *run) tryAnswer(ctx context.Context) (string, error) {
	begin := time.Now()
	x, err := r.conversation.say(ctx)
	if err != nil {
		return "", err
	}
	r.note(x)
	return fmt.Sprintf("the demo acknowledged message %s after %s", x.id, time.Since(begin).Round(time.Millisecond)), nil
}

// trySample sends another message, unless the demo has already made a trace of an earlier one. The demo samples, and
// caps its spans per second.
func (r *run) trySample(ctx context.Context) (string, error) {
	if !r.marked.trace.IsSampled() {
		x, err := r.conversation.say(ctx)
		if err != nil {
			return "", err
		}
		r.note(x)
	}
	if !r.marked.trace.IsSampled() {
		return "", fmt.Errorf("none of %d acknowledged messages has a trace", r.conversation.said)
	}
	return fmt.Sprintf("message %s of %d has trace %s", r.marked.id, r.conversation.said, r.marked.trace.TraceID()), nil
}

// note keeps the first sampled message as the one to follow.
func (r *run) note(x exchanged) {
	if !r.marked.trace.IsSampled() {
		r.marked = x
	}
	if x.trace.IsSampled() {
		r.remember(x.trace.TraceID())
	}
}

// talk keeps the conversation going as long as steps need it. The gauge counts its connection, and an exemplar may need
// more than one message, because exemplars are throttled.
func (r *run) talk(ctx context.Context) {
	<-r.sampled.settled // whichever way: until then the steps themselves do the talking
	defer r.conversation.end()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(500 * time.Millisecond):
		}
		// Not cut short by the end of the check, which would drop the connection.
		if x, err := r.conversation.say(context.WithoutCancel(ctx)); err == nil && x.trace.IsSampled() {
			r.remember(x.trace.TraceID())
		}
	}
}

func newSpanContext() trace.SpanContext {
	var traceID trace.TraceID
	var spanID trace.SpanID
	_, _ = rand.Read(traceID[:]) // crypto/rand never fails
	_, _ = rand.Read(spanID[:])
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID, TraceFlags: trace.FlagsSampled})
}
