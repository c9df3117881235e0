package socketio

import (
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// readBuffer is what a WebSocket keeps for reading. Most messages fit, and larger ones are read in pieces.
const readBuffer = 512

// accept makes a WebSocket of a request, of which it answers others.
func (c *client) accept(w http.ResponseWriter, r *http.Request) *websocket.Conn {
	upgrader := websocket.Upgrader{
		ReadBufferSize:  readBuffer,
		WriteBufferPool: &c.handler.writeBuffers,
		CheckOrigin:     func(*http.Request) bool { return true }, // the gate has, or the client knows the session's id
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return nil
	}
	conn.SetReadLimit(wire.MaxFrameBytes + 1) // and what it is, before a packet of Socket.IO
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		_ = conn.Close()
		return nil
	}
	c.conns = append(c.conns, conn)
	return conn
}

// upgraded reports whether the client polls no more.
func (c *client) upgraded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over == overWebSocket
}

// upgrade takes a client that polls over to a WebSocket. Until it is there it goes on polling.
func (c *client) upgrade(w http.ResponseWriter, r *http.Request) {
	if !c.beginUpgrade() {
		errRequest.answer(w)
		return
	}
	conn := c.accept(w, r)
	if conn == nil {
		c.endUpgrade(nil, false)
		return
	}
	go func() {
		if !c.probe(conn) {
			c.endUpgrade(conn, false)
			_ = conn.Close()
			return
		}
		c.read(conn)
	}()
}

// beginUpgrade reports whether the client may try. It may once at a time.
func (c *client) beginUpgrade() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.cause != nil || c.over == overWebSocket || c.trying {
		return false
	}
	c.trying = true
	return true
}

// endUpgrade counts an attempt. The connection of one that has failed is forgotten.
func (c *client) endUpgrade(failed *websocket.Conn, done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trying = false
	c.handler.metrics.upgrade(done)
	switch {
	case c.ended:
	case done:
		c.handler.metrics.clients.WithLabelValues(c.over).Dec()
		c.over = overWebSocket
		c.handler.metrics.clients.WithLabelValues(c.over).Inc()
	default:
		if c.cause == nil {
			c.mailbox.setHurry(false)
		}
		for i, conn := range c.conns {
			if conn == failed {
				c.conns = append(c.conns[:i], c.conns[i+1:]...)
				break
			}
		}
	}
}

// probe lets the client try the WebSocket, and has packets go that way once it says so.
func (c *client) probe(conn *websocket.Conn) bool {
	_ = conn.SetReadDeadline(time.Now().Add(upgradeTimeout)) // it never fails
	if !expect(conn, "2probe") {
		return false
	}
	if c.writeText(conn, "3probe") != nil {
		return false
	}
	c.mailbox.setHurry(true) // the client waits for its poll to be answered
	if !expect(conn, "5") {
		return false
	}
	c.polls.Lock() // the poll that is under way has hurried
	defer c.polls.Unlock()
	// A sender that holds sending may wait for room in the mailbox.
	for waiting := c.mailbox.take(); len(waiting) > 0; waiting = c.mailbox.take() {
		if c.write(conn, waiting...) != nil {
			return false
		}
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.write(conn, c.mailbox.take()...) != nil {
		return false
	}
	c.socket = conn
	_ = conn.SetReadDeadline(time.Time{}) // it never fails
	c.endUpgrade(nil, true)
	if _, closing := c.closing(); closing {
		c.sayGoodbye(conn)
	}
	return true
}

// writeText writes a packet to a WebSocket that the client does not use yet.
func (c *client) writeText(conn *websocket.Conn, text string) error {
	_ = conn.SetWriteDeadline(time.Now().Add(c.handler.cfg.WriteTimeout)) // it never fails
	return conn.WriteMessage(websocket.TextMessage, []byte(text))
}

// expect reports whether the next packet is that one.
func expect(conn *websocket.Conn, want string) bool {
	typ, data, err := conn.ReadMessage()
	return err == nil && typ == websocket.TextMessage && string(data) == want
}

// read handles the packets that arrive on the client's WebSocket until the WebSocket ends.
func (c *client) read(conn *websocket.Conn) {
	for {
		typ, data, err := conn.ReadMessage()
		if err != nil {
			c.readFailed(err)
			return
		}
		c.take(unit{binary: typ == websocket.BinaryMessage, data: data})
	}
}

// readFailed ends the client for what the error of a read shows.
func (c *client) readFailed(err error) {
	var closed *websocket.CloseError
	var network net.Error
	switch {
	case errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure:
		c.end(instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonForCode(closed.Code), Code: closed.Code})
	case errors.Is(err, websocket.ErrReadLimit):
		c.fail(instrument.ReasonMessageTooBig, errTooBig)
	case closed != nil, errors.As(err, &network), errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
		c.end(broken(err))
	default:
		c.fail(instrument.ReasonProtocolError, err)
	}
}
