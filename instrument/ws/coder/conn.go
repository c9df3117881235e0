package coder

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/wsconn"
)

// A Conn is an accepted connection that is observed. Its methods do the same as those of websocket.Conn, under the same
// rules of concurrency, and find out from their results how the connection ended. A Conn sends nothing of its own. It
// starts only the goroutine of CloseRead, which the transport would start.
type Conn struct {
	ws   *websocket.Conn
	conn *wsconn.Conn

	underway atomic.Int32 // calls that may know why the connection ends, and reading
	reads    reads

	closeRead atomic.Pointer[closeRead]

	counting bool
	counter  instrument.Counter
	classify func(websocket.MessageType, []byte) instrument.MessageType
}

// Unwrap returns the connection underneath, for methods that Conn does not have. Their calls are not observed. A
// connection that ends by them is counted when a read of Conn fails, or by Close.
func (c *Conn) Unwrap() *websocket.Conn { return c.ws }

// Observed returns the handle to note what only the application knows: types of messages, their handling, and drops.
func (c *Conn) Observed() *instrument.Conn { return c.conn.Observed() }

// SetReadLimit sets the size of the largest message that may be read; see websocket.Conn.SetReadLimit.
func (c *Conn) SetReadLimit(n int64) { c.ws.SetReadLimit(n) }

// Subprotocol returns the negotiated subprotocol, see websocket.Conn.Subprotocol.
func (c *Conn) Subprotocol() string { return c.ws.Subprotocol() }

// CountMessages makes the Conn count messages as they are read and written, with the type that classify returns, or as
// "other" if classify is nil. Call it before the connection is used. Counts by Observed then count nothing. Use it in
// servers that do not time the handling of messages. By default the application counts.
//
// The payload is only valid during the call. For a message that is read by Reader or written by Writer, it is the first
// piece.
func (c *Conn) CountMessages(classify func(typ websocket.MessageType, payload []byte) instrument.MessageType) {
	c.counting, c.counter, c.classify = true, c.Observed().BeginCounting(), classify
}

func (c *Conn) typeOf(typ websocket.MessageType, payload []byte) instrument.MessageType {
	if c.classify == nil {
		return instrument.MessageType{}
	}
	return c.classify(typ, payload)
}

// Read reads a message; see websocket.Conn.Read. It counts the message only after CountMessages. Otherwise the
// application counts it by Observed, when it knows the message's type. If Read fails, the connection has ended, and the
// error says how.
func (c *Conn) Read(ctx context.Context) (websocket.MessageType, []byte, error) {
	c.beginRead(ctx)
	typ, p, err := c.ws.Read(ctx)
	if err != nil {
		c.readFailed(ctx, err)
		return typ, p, err
	}
	c.wasRead(ctx)
	if c.counting {
		c.counter.Received(c.typeOf(typ, p), len(p))
	}
	return typ, p, nil
}

// Write writes a message; see websocket.Conn.Write. It counts the message only after CountMessages. Otherwise the
// application calls Observed().Sent with the type. A failed write is counted as an error. It is also the reason for the
// connection's end, unless a better one is found.
func (c *Conn) Write(ctx context.Context, typ websocket.MessageType, p []byte) error {
	c.begin()
	err := c.ws.Write(ctx, typ, p)
	c.endWrite(ctx, err)
	if err == nil && c.counting {
		c.counter.Sent(c.typeOf(typ, p), len(p))
	}
	return err
}

// Ping sends a ping, waits for the pong, and measures the time between; see websocket.Conn.Ping. If the context's
// deadline passes before, that is a ping timeout. Unless a later ping is answered, it is the reason for the
// connection's end.
func (c *Conn) Ping(ctx context.Context) error {
	c.begin()
	defer c.leave()
	ping := c.Observed().BeginPing()
	err := c.ws.Ping(ctx)
	switch {
	case err == nil:
		c.conn.PingAnswered()
		ping.End(instrument.PingPong)
	case errors.Is(err, context.DeadlineExceeded):
		c.conn.PingTimedOut(err)
		ping.End(instrument.PingTimeout)
	case errors.Is(err, context.Canceled):
		ping.Forget() // the caller has given up, which says nothing about the peer
	default:
		ping.End(instrument.PingError)
	}
	return err
}

// Close closes the connection with the close handshake; see websocket.Conn.Close. The reason is the one that the code
// stands for, unless there was a ping timeout or a failed write before.
func (c *Conn) Close(code websocket.StatusCode, reason string) error {
	defer c.waitCloseRead()
	c.conn.Judged()
	return c.close(code, reason)
}

func (c *Conn) close(code websocket.StatusCode, reason string) error {
	c.begin()
	defer c.leaveEnded()
	return c.ws.Close(code, reason)
}

// CloseFor closes the connection with the close handshake for a reason that the close code can't express, such as
// instrument.ReasonSlowConsumer. As with Close, the transport gives the peer five seconds to take the close frame and
// five seconds to answer it.
func (c *Conn) CloseFor(reason instrument.CloseReason, code websocket.StatusCode, text string) error {
	c.conn.Judged()
	c.conn.Say(reason, int(code))
	return c.Close(code, text)
}

// CloseNow closes the connection without the close handshake; see websocket.Conn.CloseNow. Defer it in the handler. On
// a connection that has ended already it changes nothing. Otherwise the connection has ended normally, because the
// handler is done. If the handler panics, the deferred CloseNow counts the panic as an error, closes for the reason
// internal, sends the close code 1011, and lets the panic go on. A CloseNow within a deferred function literal can't
// see the panic, because recover works only in the deferred function itself. So write defer c.CloseNow() by itself,
// after the defer of the literal.
func (c *Conn) CloseNow() error {
	if v := recover(); v != nil {
		c.conn.Panicked(v)
		_ = c.closeNow()
		panic(v) //nolint:forbidigo // net/http deals with the handler's panic
	}
	return c.closeNow()
}

func (c *Conn) closeNow() error {
	c.begin()
	if !c.conn.Closed() { // by the transport, for a reason that a call under way knows
		c.noteExpiry(c.readingContext())
		c.conn.Cut()
	}
	defer c.waitCloseRead()
	defer c.leaveEnded()
	return c.ws.CloseNow()
}
