package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/wire"
)

const (
	dialTimeout  = 10 * time.Second
	writeTimeout = 10 * time.Second
	readLimit    = 256 << 10
)

// text is what every message says.
const text = "The quick brown fox jumps over the lazy dog."

// peer is one connection of the load.
type peer struct {
	number int
	plan   *plan
	tally  *tally
	conn   *websocket.Conn
	room   string

	ending   atomic.Bool
	finished chan struct{} // closed when the reader has ended

	// Of the reader alone, until it has ended.
	acked, delivered once
}

// connect opens a connection, joins its room and begins to read. Only the
// connecting is bounded by ctx.
func connect(ctx context.Context, cfg Config, p *plan, t *tally, number int) (*peer, error) {
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	token, err := auth.RequestToken(dialing, http.DefaultClient, tokenURL(cfg.URL), fmt.Sprintf("load-%d", number))
	if err != nil {
		return nil, err
	}
	conn, _, err := websocket.Dial(dialing, cfg.URL, &websocket.DialOptions{ //nolint:bodyclose // there is none to close, its documentation says
		HTTPHeader: http.Header{"Authorization": {"Bearer " + token}},
	})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(readLimit)
	room := p.room(number)
	c := &peer{
		number: number, plan: p, tally: t, conn: conn,
		room:      fmt.Sprintf("load-%x-%d", p.run[:4], room),
		finished:  make(chan struct{}),
		acked:     newOnce(p.messages/p.n + 1),
		delivered: newOnce(p.inRoom(room)),
	}
	if err := c.join(dialing); err != nil {
		_ = conn.CloseNow() // it is of no use
		return nil, fmt.Errorf("join a room: %w", err)
	}
	go c.receive(context.WithoutCancel(ctx))
	return c, nil
}

// tokenURL returns where the server of a WebSocket issues tokens.
func tokenURL(socket string) string {
	return strings.TrimSuffix(strings.Replace(socket, "ws", "http", 1), "/ws") + "/auth/token"
}

func (c *peer) join(ctx context.Context) error {
	env, err := wire.New(wire.TypeJoin, "", wire.JoinPayload{Room: c.room})
	if err != nil {
		return err
	}
	if err := c.write(ctx, &env); err != nil {
		return err
	}
	for {
		answer, err := c.read(ctx)
		if err != nil {
			return err
		}
		if answer.MessageID != env.MessageID {
			continue
		}
		var ack wire.AckPayload
		if err := json.Unmarshal(answer.Payload, &ack); err != nil || !ack.Success {
			return fmt.Errorf("the server refused: %s %s", ack.Error, ack.Reason)
		}
		return nil
	}
}

// send sends this connection's messages when they are due, until all are sent
// or ctx ends. The writes themselves are not cut short by ctx, which would
// break the connection.
func (c *peer) send(ctx context.Context) {
	members := int64(c.plan.members(c.plan.room(c.number)))
	for k := c.number; k < c.plan.messages; k += c.plan.n {
		due := c.plan.due(k)
		if !sleepUntil(ctx, due) {
			return
		}
		select {
		case <-c.finished:
			c.tally.skipped.Add(1)
			continue
		default:
		}
		c.tally.lag.record(time.Since(due))
		// A message whose writing failed may have arrived: it counts as sent.
		c.tally.sent.Add(1)
		c.tally.expected.Add(members)
		if err := c.sendOne(context.WithoutCancel(ctx), k); err != nil {
			_ = c.conn.CloseNow() // the reader tells that the connection has ended
		}
	}
}

func (c *peer) sendOne(ctx context.Context, k int) error {
	env, err := wire.New(wire.TypeMessage, c.plan.id(k), wire.MessagePayload{Room: c.room, Text: text})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return c.write(ctx, &env)
}

// receive keeps account of what comes in until the connection ends.
func (c *peer) receive(ctx context.Context) {
	defer close(c.finished)
	for {
		env, err := c.read(ctx)
		if err != nil {
			if !c.ending.Load() {
				c.tally.note(&c.tally.ended, "connection ended: "+endReason(err))
			}
			_ = c.conn.CloseNow()
			return
		}
		now := time.Now()
		switch env.Type {
		case wire.TypeAck:
			c.countAck(env, now)
		case wire.TypeMessage:
			c.countDelivery(env, now)
		case wire.TypeError:
			var p wire.ErrorPayload
			_ = json.Unmarshal(env.Payload, &p) // without a code it counts as well
			c.tally.note(&c.tally.refused, "refused: "+string(p.Code))
		case wire.TypeWelcome, wire.TypeJoined, wire.TypeLeft, wire.TypeRoomUsers, wire.TypeGoingAway:
		default:
			c.tally.note(&c.tally.strange, "unexpected type of message")
		}
	}
}

func (c *peer) countAck(env wire.Envelope, now time.Time) {
	k, ours := c.plan.index(env.MessageID)
	if !ours || c.plan.sender(k) != c.number {
		c.tally.note(&c.tally.strange, "acknowledgement of a message that was not sent")
		return
	}
	if !c.acked.first(k / c.plan.n) {
		c.tally.ackedTwice.Add(1)
		return
	}
	var ack wire.AckPayload
	if err := json.Unmarshal(env.Payload, &ack); err != nil || !ack.Success {
		c.tally.note(&c.tally.refused, "refused: "+string(ack.Error))
		c.tally.expected.Add(-int64(c.plan.members(c.plan.room(c.number))))
		return
	}
	c.tally.acked.Add(1)
	if env.Traceparent != "" {
		c.tally.traced.Add(1)
	}
	c.tally.ack.record(now.Sub(c.plan.due(k)))
}

func (c *peer) countDelivery(env wire.Envelope, now time.Time) {
	k, ours := c.plan.index(env.MessageID)
	if !ours || c.plan.room(c.plan.sender(k)) != c.plan.room(c.number) {
		c.tally.note(&c.tally.strange, "message of another room or nobody")
		return
	}
	if !c.delivered.first(c.plan.place(k)) {
		c.tally.deliverTwice.Add(1)
		return
	}
	c.tally.delivered.Add(1)
	c.tally.delivery.record(now.Sub(c.plan.due(k)))
}

// close ends the connection in order, and with it its reader.
func (c *peer) close() {
	c.ending.Store(true)
	_ = c.conn.Close(websocket.StatusNormalClosure, "") // an error means that it has ended already
	<-c.finished
}

func (c *peer) write(ctx context.Context, env *wire.Envelope) error {
	f, err := env.Frame()
	if err != nil {
		return err
	}
	return c.conn.Write(ctx, websocket.MessageText, f.Data)
}

func (c *peer) read(ctx context.Context) (wire.Envelope, error) {
	var env wire.Envelope
	_, data, err := c.conn.Read(ctx)
	if err != nil {
		return env, err
	}
	if err := json.Unmarshal(data, &env); err != nil {
		return env, fmt.Errorf("not an envelope: %w", err)
	}
	return env, nil
}

// endReason says in few words how a connection ended, so that equal ends count
// as equal.
func endReason(err error) string {
	var frame websocket.CloseError
	if errors.As(err, &frame) {
		return fmt.Sprintf("closed by the server with %d %s", frame.Code, frame.Reason)
	}
	return "broken without a close frame"
}
