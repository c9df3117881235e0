package coder

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
)

// A Conn is an accepted connection that is observed. Its methods do what those of websocket.Conn do, under the same
// rules of concurrency, and find out from their results how the connection ended. It sends nothing of its own and starts
// no goroutine but the one of CloseRead, which the transport would start.
type Conn struct {
	ws       *websocket.Conn
	observer *instrument.Observer
	session  *instrument.Conn

	ending      atomic.Pointer[instrument.Cause] // the first to know why the connection ends sets it
	pingTimeout atomic.Bool                      // the last ping was not answered in time
	writeError  atomic.Pointer[error]            // of the last write, nil if it succeeded

	sending atomic.Int32 // writes and pings under way
	cut     atomic.Bool  // a read found the connection closed by this side, and not why

	panicking atomic.Bool // the panic is counted

	closeRead atomic.Pointer[closeRead]

	classify func(websocket.MessageType, []byte) instrument.MessageType // nil unless the adapter counts
}

// Unwrap returns the connection underneath, for what Conn does not offer. What is done with it is not observed; a
// connection that ends that way is counted when a read of Conn fails, or by Close.
func (c *Conn) Unwrap() *websocket.Conn { return c.ws }

// Session returns the handle for what only the application knows: types of messages, their handling, what is dropped.
func (c *Conn) Observed() *instrument.Conn { return c.session }

// SetReadLimit sets the size of the largest message that may be read, see websocket.Conn.SetReadLimit.
func (c *Conn) SetReadLimit(n int64) { c.ws.SetReadLimit(n) }

// Subprotocol returns the negotiated subprotocol, see websocket.Conn.Subprotocol.
func (c *Conn) Subprotocol() string { return c.ws.Subprotocol() }

// CountMessages has the messages counted as they are read and written, with the type that classify returns for them, or
// all as "other" if classify is nil. It is to be called before the connection is used. From then on the application must
// not count by Observed().Received, Receive or Sent, or messages count twice. It is for servers that do not time the
// handling of messages; by default the application counts.
//
// The payload is only valid during the call; of a message that is read by Reader or written by Writer it is the first
// piece.
func (c *Conn) CountMessages(classify func(typ websocket.MessageType, payload []byte) instrument.MessageType) {
	if classify == nil {
		classify = func(websocket.MessageType, []byte) instrument.MessageType { return instrument.MessageType{} }
	}
	c.classify = classify
}

// Read reads a message, see websocket.Conn.Read. It counts it only after CountMessages: otherwise the application does,
// by Observed, when it knows the message's type. When Read fails the connection has ended, and the error tells how.
func (c *Conn) Read(ctx context.Context) (websocket.MessageType, []byte, error) {
	typ, p, err := c.ws.Read(ctx)
	switch {
	case err != nil:
		c.readFailed(ctx, err)
	case c.classify != nil:
		c.session.Received(c.classify(typ, p), len(p))
	}
	return typ, p, err
}

// Write writes a message, see websocket.Conn.Write. It counts it only after CountMessages: otherwise the application
// calls Observed().Sent with the type. A failed write is counted as an error and, unless there turns out to be a better
// reason, as the one for which the connection ends.
func (c *Conn) Write(ctx context.Context, typ websocket.MessageType, p []byte) error {
	defer c.sent(c.begin())
	err := c.ws.Write(ctx, typ, p)
	c.written(ctx, err)
	if err == nil && c.classify != nil {
		c.session.Sent(c.classify(typ, p), len(p))
	}
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
	c.session.Failed(ctx, instrument.ErrorWrite, err)
}

// suspectWrite is apart from written so that only errors are put on the heap.
func (c *Conn) suspectWrite(err error) { c.writeError.Store(&err) }

// Ping sends a ping and waits for the pong, see websocket.Conn.Ping, and measures the time between. A context whose
// deadline passes before is a ping timeout: it is counted, and unless a later ping is answered it is the reason for
// which the connection ends.
func (c *Conn) Ping(ctx context.Context) error {
	defer c.sent(c.begin())
	ping := c.session.BeginPing()
	err := c.ws.Ping(ctx)
	switch {
	case err == nil:
		c.pingTimeout.Store(false)
		ping.End(instrument.PingPong)
	case errors.Is(err, context.DeadlineExceeded):
		c.pingTimeout.Store(true)
		ping.End(instrument.PingTimeout)
		c.session.Failed(ctx, instrument.ErrorTimeout, err)
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
	if c.leftToSends() {
		return c.ws.Close(code, reason)
	}
	return c.closeFor(c.localCause(instrument.ReasonForCode(int(code)), code), code, reason)
}

// CloseFor closes the connection with the close handshake for a reason that the close code cannot tell, such as
// instrument.ReasonSlowConsumer.
func (c *Conn) CloseFor(reason instrument.CloseReason, code websocket.StatusCode, text string) error {
	defer c.waitCloseRead()
	return c.closeFor(instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: reason, Code: int(code)}, code, text)
}

func (c *Conn) closeFor(cause instrument.Cause, code websocket.StatusCode, text string) error {
	c.ending.CompareAndSwap(nil, &cause)
	defer c.end(cause)
	return c.ws.Close(code, text)
}

// CloseNow closes the connection without the close handshake, see websocket.Conn.CloseNow. It is meant to be deferred:
// on a connection that has ended already it changes nothing. When the handler panics, the deferred CloseNow counts the
// panic as an error and as the cause of the close, internal, and lets the panic go on. A CloseNow that is called within
// a deferred function literal cannot see the panic, because recover works only in the deferred function itself: write
// defer c.CloseNow() by itself, after the defer of the literal.
func (c *Conn) CloseNow() error {
	if v := recover(); v != nil {
		c.panicked(v)
		panic(v) //nolint:forbidigo // it is the handler's panic and net/http's to deal with
	}
	defer c.waitCloseRead()
	if c.leftToSends() {
		return c.ws.CloseNow()
	}
	cause := c.cutCause()
	c.ending.CompareAndSwap(nil, &cause)
	defer c.end(cause)
	return c.ws.CloseNow()
}

// panicked ends the connection of a handler that panicked. There is no close handshake, because it would hold up whoever
// waits for the panic.
func (c *Conn) panicked(v any) {
	if !c.panicking.CompareAndSwap(false, true) {
		return // on its way up it meets several deferred CloseNows
	}
	cause := c.cutCause()
	if err, ok := v.(error); !ok || !errors.Is(err, http.ErrAbortHandler) { // which is how a handler gives up on purpose
		err = fmt.Errorf("panic: %v", v)
		c.session.Failed(c.session.Context(context.Background()), instrument.ErrorPanic, err)
		cause = local(instrument.ReasonInternal, websocket.StatusAbnormalClosure)
		cause.Err = err
	}
	c.ending.CompareAndSwap(nil, &cause)
	_ = c.ws.CloseNow()
	c.end(cause)
}
