package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/google/uuid"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/wire"
)

// answerTimeout is how long a client waits for an answer before it connects again.
const answerTimeout = 8 * time.Second

// chat is one room, as its clients see it through the load balancer.
type chat struct {
	address string // host:port
	room    string

	mu     sync.Mutex
	acked  []string        // ids of acknowledged messages
	failed []error         // of attempts to connect
	nodes  map[string]bool // instances that clients were on
}

func newChat(address string) *chat {
	return &chat{address: address, room: "scale-" + uuid.NewString(), nodes: make(map[string]bool)}
}

// connect connects a client and notes how that went. With after it has got the room's messages up to that one, and gets
// what it has missed.
func (c *chat) connect(ctx context.Context, user string, after *uint64) (*websocket.Conn, error) {
	conn, node, err := c.dial(ctx, user, after)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failed = append(c.failed, err)
		return nil, err
	}
	c.nodes[node] = true
	return conn, nil
}

func (c *chat) dial(ctx context.Context, user string, after *uint64) (conn *websocket.Conn, node string, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	token, err := auth.RequestToken(ctx, http.DefaultClient, "http://"+c.address+"/auth/token", user)
	if err != nil {
		return nil, "", err
	}
	conn, _, err = websocket.Dial(ctx, "ws://"+c.address+"/ws", &websocket.DialOptions{ //nolint:bodyclose // there is none to close
		HTTPHeader: http.Header{"Authorization": {"Bearer " + token}},
	})
	if err != nil {
		return nil, "", err
	}
	conn.SetReadLimit(1 << 20)
	var welcome wire.WelcomePayload
	err = errors.Join(readPayload(ctx, conn, &welcome), send(ctx, conn, wire.TypeJoin, uuid.NewString(), wire.JoinPayload{Room: c.room, After: after}))
	if err != nil {
		return nil, "", errors.Join(err, conn.CloseNow())
	}
	return conn, welcome.Node, nil
}

func readPayload(ctx context.Context, conn *websocket.Conn, payload any) error {
	var env wire.Envelope
	if err := wsjson.Read(ctx, conn, &env); err != nil {
		return err
	}
	return json.Unmarshal(env.Payload, payload)
}

func send(ctx context.Context, conn *websocket.Conn, typ wire.Type, id string, payload any) error {
	env, err := wire.New(typ, id, payload)
	if err != nil {
		return err
	}
	return wsjson.Write(ctx, conn, env)
}

// speak says something every now and then until stop is closed. It repeats a message, with the same id, until it is
// acknowledged.
func (c *chat) speak(ctx context.Context, user string, stop <-chan struct{}) error {
	var conn *websocket.Conn
	defer func() { hangUp(conn) }()
	for n := 1; ; n++ {
		for id := uuid.NewString(); ; pause(ctx, 100*time.Millisecond) {
			var err error
			if conn == nil {
				conn, err = c.connect(ctx, user, nil)
			}
			if err == nil {
				err = c.say(ctx, conn, id, fmt.Sprintf("%s says %d", user, n))
			}
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return fmt.Errorf("%s could not say %d: %w", user, n, err)
			}
			hangUp(conn)
			conn = nil
		}
		select {
		case <-stop:
			return nil
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (c *chat) sayOnce(ctx context.Context) error {
	conn, err := c.connect(ctx, "ann", nil)
	if err != nil {
		return err
	}
	defer hangUp(conn)
	return c.say(ctx, conn, uuid.NewString(), "remember me")
}

// say sends a message and returns when it is acknowledged.
func (c *chat) say(ctx context.Context, conn *websocket.Conn, id, text string) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if err := send(ctx, conn, wire.TypeMessage, id, wire.MessagePayload{Room: c.room, Text: text}); err != nil {
		return err
	}
	for {
		var env wire.Envelope
		if err := wsjson.Read(ctx, conn, &env); err != nil {
			return err
		}
		if env.MessageID != id || env.Type != wire.TypeAck {
			continue
		}
		var ack wire.AckPayload
		if err := json.Unmarshal(env.Payload, &ack); err != nil {
			return err
		}
		if !ack.Success {
			return fmt.Errorf("%s: %s", ack.Error, ack.Reason)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.acked = append(c.acked, id)
		return nil
	}
}

// listen follows the room until it has got as many messages as last holds, from where it was whenever it had to connect
// again. It returns the ids of what was said, in order.
func (c *chat) listen(ctx context.Context, user string, last *atomic.Int64) (ids []string, err error) {
	var conn *websocket.Conn
	defer func() { hangUp(conn) }()
	for int64(len(ids)) < last.Load() {
		if ctx.Err() != nil {
			return ids, fmt.Errorf("%s has got %d of %d messages: %w", user, len(ids), last.Load(), ctx.Err())
		}
		if conn == nil {
			after := uint64(len(ids))
			if conn, err = c.connect(ctx, user, &after); err != nil {
				pause(ctx, 100*time.Millisecond)
				continue
			}
		}
		if ids, err = receive(ctx, conn, ids); errors.Is(err, errDisorder) {
			return ids, fmt.Errorf("%s: %w", user, err)
		}
		if err != nil {
			hangUp(conn)
			conn = nil
		}
	}
	return ids, nil
}

// history reads all that was said in the room.
func (c *chat) history(ctx context.Context) (ids []string, err error) {
	conn, err := c.connect(ctx, "historian", nil)
	if err != nil {
		return nil, err
	}
	defer hangUp(conn)
	for {
		after := uint64(len(ids))
		id := uuid.NewString()
		if err := send(ctx, conn, wire.TypeHistory, id, wire.HistoryRequest{Room: c.room, After: &after, Limit: wire.MaxHistory}); err != nil {
			return ids, err
		}
		var env wire.Envelope
		for env.Type != wire.TypeHistory || env.MessageID != id {
			if err := wsjson.Read(ctx, conn, &env); err != nil {
				return ids, err
			}
		}
		if ids, err = appendMessages(ids, &env); err != nil {
			return ids, err
		}
		if uint64(len(ids)) == after {
			return ids, nil
		}
	}
}

var errDisorder = errors.New("messages came twice or out of order")

// receive reads one frame and appends the ids of the messages in it.
func receive(ctx context.Context, conn *websocket.Conn, ids []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var env wire.Envelope
	if err := wsjson.Read(ctx, conn, &env); err != nil {
		return ids, err
	}
	return appendMessages(ids, &env)
}

// appendMessages appends the ids of the messages that a frame brings, each of which has to be the one after the last.
func appendMessages(ids []string, env *wire.Envelope) ([]string, error) {
	var brought []wire.HistoryMessage
	switch env.Type {
	case wire.TypeMessage:
		brought = []wire.HistoryMessage{{Seq: env.Seq, MessageID: env.MessageID}}
	case wire.TypeHistory:
		var piece wire.HistoryPayload
		if err := json.Unmarshal(env.Payload, &piece); err != nil {
			return ids, err
		}
		brought = piece.Messages
	}
	for _, m := range brought {
		if m.Seq != uint64(len(ids))+1 {
			return ids, fmt.Errorf("%w: number %d after number %d", errDisorder, m.Seq, len(ids))
		}
		ids = append(ids, m.MessageID)
	}
	return ids, nil
}

func hangUp(conn *websocket.Conn) {
	if conn != nil {
		_ = conn.CloseNow()
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
