package coder

import (
	"context"
	"errors"
	"net"
	"sync/atomic"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
)

// A Conn is an accepted connection that is observed. Its methods do what those of websocket.Conn do, under the same
// rules of concurrency, and find out from their results how the connection ended. It starts no goroutine and sends
// nothing of its own.
type Conn struct {
	ws       *websocket.Conn
	observer *instrument.Observer
	session  *instrument.Conn

	ending      atomic.Pointer[instrument.Cause] // the first to know why the connection ends sets it
	pingTimeout atomic.Bool                      // the last ping was not answered in time
	writeError  atomic.Pointer[error]            // of the last write, nil if it succeeded

	sending atomic.Int32 // writes and pings under way
	cut     atomic.Bool  // a read found the connection closed by this side, and not why
}

// Unwrap returns the connection underneath, for what Conn does not offer. What is done with it is not observed; a
// connection that ends that way is counted when Read fails, or by Close.
func (c *Conn) Unwrap() *websocket.Conn { return c.ws }

// Session returns the handle for what only the application knows: types of messages, their handling, what is dropped.
func (c *Conn) Session() *instrument.Conn { return c.session }

// Read reads a message, see websocket.Conn.Read. It does not count it: the application does, by Session, when it knows
// the message's type. When Read fails the connection has ended, and the error tells how.
func (c *Conn) Read(ctx context.Context) (websocket.MessageType, []byte, error) {
	typ, p, err := c.ws.Read(ctx)
	if err != nil {
		c.readFailed(ctx, err)
	}
	return typ, p, err
}

// Write writes a message, see websocket.Conn.Write. It does not count it: the application calls Session().Sent with the
// type. A failed write is counted as an error and, unless there turns out to be a better reason, as the one for which
// the connection ends.
func (c *Conn) Write(ctx context.Context, typ websocket.MessageType, p []byte) error {
	c.sending.Add(1)
	defer c.sent()
	err := c.ws.Write(ctx, typ, p)
	c.written(ctx, err)
	return err
}

func (c *Conn) written(ctx context.Context, err error) {
	if err == nil {
		// A deadline that has passed meanwhile may have closed the connection even though the write succeeded.
		if expired := ctx.Err(); errors.Is(expired, context.DeadlineExceeded) {
			c.suspectWrite(expired)
		} else if c.writeError.Load() != nil {
			c.writeError.Store(nil)
		}
		return
	}
	if c.ending.Load() != nil || errors.Is(err, net.ErrClosed) || errors.Is(err, context.Canceled) {
		return // the connection had ended, or the caller has given up: neither is the write's failure
	}
	c.suspectWrite(err)
	c.session.Error(ctx, instrument.ErrorWrite, err)
}

// suspectWrite is apart from written so that only errors are put on the heap.
func (c *Conn) suspectWrite(err error) { c.writeError.Store(&err) }

// Ping sends a ping and waits for the pong, see websocket.Conn.Ping, and measures the time between. A context whose
// deadline passes before is a ping timeout: it is counted, and unless a later ping is answered it is the reason for
// which the connection ends.
func (c *Conn) Ping(ctx context.Context) error {
	c.sending.Add(1)
	defer c.sent()
	ping := c.session.Ping()
	err := c.ws.Ping(ctx)
	switch {
	case err == nil:
		c.pingTimeout.Store(false)
		ping.End(instrument.PingPong)
	case errors.Is(err, context.DeadlineExceeded):
		c.pingTimeout.Store(true)
		ping.End(instrument.PingTimeout)
		c.session.Error(ctx, instrument.ErrorTimeout, err)
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
	return c.closeFor(c.localCause(instrument.ReasonForCode(int(code)), code), code, reason)
}

// CloseFor closes the connection with the close handshake for a reason that the close code cannot tell, such as
// instrument.ReasonSlowConsumer.
func (c *Conn) CloseFor(reason instrument.CloseReason, code websocket.StatusCode, text string) error {
	return c.closeFor(instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: reason, Code: int(code)}, code, text)
}

func (c *Conn) closeFor(cause instrument.Cause, code websocket.StatusCode, text string) error {
	c.ending.CompareAndSwap(nil, &cause)
	defer c.end(cause)
	return c.ws.Close(code, text)
}

// CloseNow closes the connection without the close handshake, see websocket.Conn.CloseNow. It is meant to be deferred:
// on a connection that has ended already it changes nothing.
func (c *Conn) CloseNow() error {
	cause := c.cutCause()
	c.ending.CompareAndSwap(nil, &cause)
	defer c.end(cause)
	return c.ws.CloseNow()
}
