package coder

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/wsconn"
)

// A Conn is an accepted connection that is observed. Its methods do what those of websocket.Conn do, under the same
// rules of concurrency, and find out from their results how the connection ended. It sends nothing of its own and starts
// no goroutine but the one of CloseRead, which the transport would start.
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

// Unwrap returns the connection underneath, for what Conn does not offer. What is done with it is not observed; a
// connection that ends that way is counted when a read of Conn fails, or by Close.
func (c *Conn) Unwrap() *websocket.Conn { return c.ws }

// Observed returns the handle for what only the application knows: types of messages, their handling, what is dropped.
func (c *Conn) Observed() *instrument.Conn { return c.conn.Observed() }

// SetReadLimit sets the size of the largest message that may be read, see websocket.Conn.SetReadLimit.
func (c *Conn) SetReadLimit(n int64) { c.ws.SetReadLimit(n) }

// Subprotocol returns the negotiated subprotocol, see websocket.Conn.Subprotocol.
func (c *Conn) Subprotocol() string { return c.ws.Subprotocol() }

// CountMessages has the messages counted as they are read and written, with the type that classify returns for them, or
// all as "other" if classify is nil. Call it before the connection is used. The application's own counts by Observed then
// count nothing. It is for servers that do not time the handling of messages; by default the application counts.
//
// The payload is only valid during the call; of a message that is read by Reader or written by Writer it is the first
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

// Read reads a message, see websocket.Conn.Read. It counts it only after CountMessages: otherwise the application does,
// by Observed, when it knows the message's type. When Read fails the connection has ended, and the error tells how.
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

// Write writes a message, see websocket.Conn.Write. It counts it only after CountMessages: otherwise the application
// calls Observed().Sent with the type. A failed write is counted as an error and, unless there turns out to be a better
// reason, as the one for which the connection ends.
func (c *Conn) Write(ctx context.Context, typ websocket.MessageType, p []byte) error {
	c.begin()
	err := c.ws.Write(ctx, typ, p)
	c.endWrite(ctx, err)
	if err == nil && c.counting {
		c.counter.Sent(c.typeOf(typ, p), len(p))
	}
	return err
}

// Ping sends a ping and waits for the pong, see websocket.Conn.Ping, and measures the time between. A context whose
// deadline passes before is a ping timeout: unless a later ping is answered, it is why the connection ends.
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
		ping.Forget() // the caller has given up, which tells nothing about the peer
	default:
		ping.End(instrument.PingError)
	}
	return err
}

// Close closes the connection with the close handshake, see websocket.Conn.Close. The reason is the one that the code
// stands for, unless a ping timeout or failed write is why the connection is closed.
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

// CloseFor closes the connection with the close handshake for a reason that the close code cannot tell, such as
// instrument.ReasonSlowConsumer. As with Close, the transport gives the peer five seconds to take the close frame and
// five to answer it.
func (c *Conn) CloseFor(reason instrument.CloseReason, code websocket.StatusCode, text string) error {
	c.conn.Judged()
	c.conn.Say(reason, int(code))
	return c.Close(code, text)
}

// CloseNow closes the connection without the close handshake, see websocket.Conn.CloseNow. It is meant to be deferred:
// on a connection that has ended already it changes nothing, and otherwise the handler has done what it was to do. When
// the handler panics, the deferred CloseNow counts the panic as an error and as the cause of the close, internal, tells
// the peer by the close code 1011, and lets the panic go on. A CloseNow that is called within a deferred function literal
// cannot see the panic, because recover works only in the deferred function itself: write defer c.CloseNow() by itself,
// after the defer of the literal.
func (c *Conn) CloseNow() error {
	if v := recover(); v != nil {
		c.conn.Panicked(v)
		_ = c.closeNow()
		panic(v) //nolint:forbidigo // it is the handler's panic and net/http's to deal with
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
