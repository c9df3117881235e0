package coder

import (
	"context"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
)

// closeReadWait is how long closing waits for the goroutine of CloseRead, as the transport does: it may be within a
// callback of the application's that closes the connection.
const closeReadWait = 15 * time.Second

// A closeRead is the goroutine of CloseRead.
type closeRead struct {
	ctx  context.Context //nolint:containedctx // CloseRead returns it again
	done chan struct{}
}

// CloseRead is for a connection on which the peer is to send no messages, see websocket.Conn.CloseRead: it reads, and so
// finds out how the connection ends, in the one goroutine that the transport would start. The returned context is
// cancelled when that is known. A message closes the connection with StatusPolicyViolation. When ctx ends, the connection
// is cut; its deadline is no idle timeout, because nothing is waited for.
func (c *Conn) CloseRead(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	reading := &closeRead{ctx, make(chan struct{})}
	if !c.closeRead.CompareAndSwap(nil, reading) {
		cancel()
		return c.closeRead.Load().ctx
	}
	go func() {
		defer close(reading.done)
		defer cancel()
		c.readNothing(ctx)
	}()
	return ctx
}

func (c *Conn) readNothing(ctx context.Context) {
	defer c.ws.CloseNow() //nolint:errcheck // it has ended by then, or is cut
	within, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	if _, _, err := c.Reader(within); err == nil {
		cause := c.localCause(instrument.ReasonPolicy, websocket.StatusPolicyViolation)
		_ = c.closeFor(cause, websocket.StatusPolicyViolation, "unexpected data message") // it is closed in any case
	}
}

// waitCloseRead waits for the goroutine of CloseRead if there is one.
func (c *Conn) waitCloseRead() {
	reading := c.closeRead.Load()
	if reading == nil {
		return
	}
	select {
	case <-reading.done:
	case <-time.After(closeReadWait):
	}
}
