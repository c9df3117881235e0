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
)

// envelope is a message of the demo's protocol.
type envelope struct {
	Type        string          `json:"type"`
	Payload     json.RawMessage `json:"payload,omitempty"`
	Timestamp   time.Time       `json:"timestamp"`
	MessageID   string          `json:"messageId"`
	Traceparent string          `json:"traceparent,omitempty"`
}

// exchanged is one message of ours that the demo acknowledged.
type exchanged struct {
	id    string
	text  string            // what was said; telemetry must not contain it
	ours  trace.SpanContext // the context that our message carried
	trace trace.SpanContext // the demo's span for it; not valid if it was not sampled
}

// A conversation sends messages into a room of its own and waits for their
// acknowledgement. It connects when needed, and again after a failure. It is
// for one goroutine at a time.
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
		conn, _, err := websocket.Dial(ctx, c.address(), &websocket.DialOptions{HTTPClient: c.http})
		if err != nil {
			return exchanged{}, err
		}
		c.conn = conn
		if err := c.write(ctx, "join", uuid.NewString(), "", map[string]string{"room": c.room}); err != nil {
			return exchanged{}, fmt.Errorf("join the room %s: %w", c.room, err)
		}
	}
	x := exchanged{id: uuid.NewString(), text: "marked by sockscope check " + uuid.NewString(), ours: newSpanContext()}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(ctx, x.ours), carrier)
	if err := c.write(ctx, "message", x.id, carrier["traceparent"], map[string]string{"room": c.room, "text": x.text}); err != nil {
		return exchanged{}, fmt.Errorf("send a message: %w", err)
	}
	ack, err := c.awaitAck(ctx, x.id)
	if err != nil {
		return exchanged{}, err
	}
	x.trace = spanContext(ack.Traceparent)
	return x, nil
}

func (c *conversation) write(ctx context.Context, kind, id, traceparent string, payload any) error {
	raw, err := json.Marshal(payload)
	if err != nil {
		return err
	}
	return wsjson.Write(ctx, c.conn, envelope{Type: kind, Payload: raw, Timestamp: time.Now(), MessageID: id, Traceparent: traceparent})
}

// awaitAck reads past what others say until the demo acknowledges the message.
func (c *conversation) awaitAck(ctx context.Context, id string) (envelope, error) {
	for {
		var e envelope
		if err := wsjson.Read(ctx, c.conn, &e); err != nil {
			return envelope{}, fmt.Errorf("wait for the acknowledgement of message %s: %w", id, err)
		}
		if e.MessageID != id || (e.Type != "ack" && e.Type != "error") {
			continue
		}
		var payload struct {
			Success bool   `json:"success"`
			Error   string `json:"error"`
		}
		if err := json.Unmarshal(e.Payload, &payload); err != nil {
			return envelope{}, fmt.Errorf("read the acknowledgement of message %s: %w", id, err)
		}
		if e.Type == "error" || !payload.Success {
			return envelope{}, fmt.Errorf("the message was refused: %s", excerpt(e.Payload))
		}
		return e, nil
	}
}

func (c *conversation) address() string {
	return strings.TrimSuffix(c.demo, "/") + "/ws?name=sockscope-check"
}

// end closes the connection in the regular way, so that the check is not
// counted as a dropped connection.
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

// trySample says something again unless the demo made a trace of what was said
// already: it samples, and it caps its spans per second.
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

// note keeps the first message that was sampled as the one that is followed.
func (r *run) note(x exchanged) {
	if !r.marked.trace.IsSampled() {
		r.marked = x
	}
	if x.trace.IsSampled() {
		r.remember(x.trace.TraceID())
	}
}

// talk keeps the conversation going as long as steps follow it: it holds the
// connection that the gauge counts, and an exemplar, which is throttled, may
// need more than one message.
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

// spanContext reads a traceparent; the result of a malformed one is not valid.
func spanContext(traceparent string) trace.SpanContext {
	carrier := propagation.MapCarrier{"traceparent": traceparent}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
}
