package coder

import (
	"context"
	"time"

	"github.com/coder/websocket"
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
// is cut. Its deadline is the connection's maximum lifetime, because nothing is waited for.
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
	if _, _, err := c.Reader(ctx); err == nil {
		_ = c.close(websocket.StatusPolicyViolation, "unexpected data message") // it is closed in any case
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
