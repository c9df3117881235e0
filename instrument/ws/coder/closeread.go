package coder

import (
	"context"
	"time"

	"github.com/coder/websocket"
)

// closeReadWait is how long closing waits for the goroutine of CloseRead, like the transport. The goroutine may be in a
// callback of the application that closes the connection.
const closeReadWait = 15 * time.Second

// A closeRead is the goroutine of CloseRead.
type closeRead struct {
	ctx  context.Context //nolint:containedctx // CloseRead returns it again
	done chan struct{}
}

// CloseRead is for a connection on which the peer must not send messages; see websocket.Conn.CloseRead. It reads in the
// one goroutine that the transport would start, and so finds out how the connection ends. Then it cancels the returned
// context. If the peer sends a message, the connection is closed with StatusPolicyViolation. If ctx ends, the
// connection is cut. A deadline of ctx counts as the connection's maximum lifetime, because no message is expected.
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
