package coder

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/coder/websocket"
)

// begin begins a call that may know why the connection ends.
func (c *Conn) begin() { c.underway.Add(1) }

// leave ends a call. The transport closes the connection in one call and reports why in another, in any order. So a
// connection that is closed ends with the last call that is under way. None keeps it waiting, because all return at once
// from a connection that is closed.
func (c *Conn) leave() {
	if c.underway.Add(-1) == 0 && c.conn.Closed() {
		c.conn.End()
	}
}

// leaveEnded ends a call after which the connection has ended.
func (c *Conn) leaveEnded() {
	if c.underway.Add(-1) == 0 || c.conn.Known() {
		c.conn.End()
	}
}

// reads are the contexts of reads.
type reads struct {
	mu   sync.Mutex
	ctx  context.Context //nolint:containedctx // of the read that is under way
	last context.Context //nolint:containedctx // of the last message
}

func (r *reads) begin(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ctx = ctx
}

// read notes a whole message.
func (r *reads) read(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ctx, r.last = nil, ctx
}

// underway returns the context of the read that is under way, nil if there is none.
func (r *reads) underway() context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ctx
}

// isLifetime tells the deadline of a connection, which was that of an earlier message, too, from one for the next message.
func (r *reads) isLifetime(ctx context.Context) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		return false
	}
	before, ok := r.last.Deadline()
	now, _ := ctx.Deadline()
	return ok && before.Equal(now)
}

// beginRead begins a read. One whose context has ended does not look at the connection, and would not see that the peer
// is gone, which is why net/http cancels a request's context.
func (c *Conn) beginRead(ctx context.Context) {
	c.begin()
	c.reads.begin(ctx)
	if ctx.Err() != nil {
		c.conn.Probe()
	}
}

// wasRead ends the read of a whole message.
func (c *Conn) wasRead(ctx context.Context) {
	c.reads.read(ctx)
	c.leave()
}

// readFailed ends a read that has failed, after which the connection has ended, and notes what its error tells.
func (c *Conn) readFailed(ctx context.Context, err error) {
	switch {
	case c.conn.Known():
	case ctx.Err() != nil:
		c.noteExpiry(ctx)
	case !isNetworkError(err) && !errors.As(err, new(websocket.CloseError)):
		c.conn.Violated(err)
	}
	if ctx.Err() != nil {
		// The transport closes the connection with the context, unless it had not begun to read: make it true then, too.
		_ = c.ws.CloseNow()
	}
	c.leaveEnded()
}

// noteExpiry notes that the context of a read has ended, if it has.
func (c *Conn) noteExpiry(ctx context.Context) {
	if ctx == nil {
		return
	}
	switch err := ctx.Err(); {
	case err == nil:
	case !errors.Is(err, context.DeadlineExceeded):
		c.conn.Cancelled()
	case c.closeRead.Load() != nil, c.reads.isLifetime(ctx):
		c.conn.LifetimeOver()
	default:
		c.conn.ReadTimedOut(err)
	}
}

// isNetworkError tells an error of the connection from one of the protocol, for which websocket has no error values.
func isNetworkError(err error) bool {
	var netErr net.Error
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &netErr)
}

// endWrite notes what a write tells about the end of the connection.
func (c *Conn) endWrite(ctx context.Context, err error) {
	expired := ctx.Err()
	switch {
	case expired == nil: // the connection itself has seen what failed
	case !errors.Is(expired, context.DeadlineExceeded): // the caller has given up, which is no failure
		if c.conn.Closed() {
			c.conn.Cancelled()
		}
	case err == nil:
		// The deadline may have closed the connection even though the write succeeded.
		c.conn.WriteGivenUp(expired)
	case errors.Is(err, context.DeadlineExceeded):
		c.conn.WriteFailed(err)
	}
	c.leave()
}
