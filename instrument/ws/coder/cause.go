package coder

import (
	"context"
	"errors"
	"io"
	"net"
	"reflect"
	"sync"

	"github.com/coder/websocket"
)

// reading is added to Conn.underway for a message that is being read. Each call adds 1.
const reading = 1 << 16

// begin begins a call that may know why the connection ends.
func (c *Conn) begin() { c.underway.Add(1) }

// leave ends a call. The transport closes the connection in one call and reports the reason in another, in any order.
// So the observation of a closed connection ends with the last call that is under way. That is soon, because all calls
// return at once on a closed connection.
func (c *Conn) leave() { c.left(1) }

func (c *Conn) left(n int32) {
	if c.isLast(n) && c.conn.Closed() {
		c.conn.End()
	}
}

// leaveEnded ends a call after which the connection has ended.
func (c *Conn) leaveEnded() { c.leftEnded(1) }

func (c *Conn) leftEnded(n int32) {
	if c.isLast(n) || c.conn.Known() {
		c.conn.End()
	}
}

func (c *Conn) isLast(n int32) bool { return c.underway.Add(-n)%reading == 0 }

// reads are the contexts of reads. Most connections are always read with the same context, so there is nothing to note.
type reads struct {
	mu         sync.Mutex
	ctx        context.Context //nolint:containedctx // of the read that is under way or was the last
	last       context.Context //nolint:containedctx // of the last message
	comparable bool            // both are
}

// begin notes the context of a read. Only the goroutine that reads changes the fields, so it may read them without the
// lock.
func (r *reads) begin(ctx context.Context) {
	if !r.comparable || ctx != r.ctx {
		r.note(ctx, r.last)
	}
}

// read notes a whole message.
func (r *reads) read(ctx context.Context) {
	if !r.comparable || ctx != r.last {
		r.note(ctx, ctx)
	}
}

func (r *reads) note(ctx, last context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ctx, r.last = ctx, last
	r.comparable = reflect.ValueOf(ctx).Comparable() && (last == nil || reflect.ValueOf(last).Comparable())
}

// readingContext returns the context of the read that is under way, nil if there is none.
func (c *Conn) readingContext() context.Context {
	if c.underway.Load() < reading {
		return nil
	}
	c.reads.mu.Lock()
	defer c.reads.mu.Unlock()
	return c.reads.ctx
}

// isLifetime reports whether ctx has the deadline of the connection and not of the next message: an earlier message was
// read with it, too.
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

// beginRead begins a read. A read whose context has ended does not look at the connection. It would not see that the
// peer is gone, which may be why net/http has cancelled the request's context.
func (c *Conn) beginRead(ctx context.Context) {
	c.reads.begin(ctx)
	c.underway.Add(1 + reading)
	if ctx.Err() != nil {
		c.conn.Probe()
	}
}

// wasRead ends the read of a whole message.
func (c *Conn) wasRead(ctx context.Context) {
	c.reads.read(ctx)
	c.left(1 + reading)
}

// readFailed ends a failed read, after which the connection has ended, and notes the cause that its error shows.
func (c *Conn) readFailed(ctx context.Context, err error) {
	switch {
	case c.conn.Known():
	case ctx.Err() != nil:
		c.noteExpiry(ctx)
	case !isNetworkError(err) && !errors.As(err, new(websocket.CloseError)):
		c.conn.Violated(err)
	}
	if ctx.Err() != nil {
		// The transport closes the connection with the context, unless it had not begun to read. Close it in that case,
		// too.
		_ = c.ws.CloseNow()
	}
	c.leftEnded(1 + reading)
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

// isNetworkError reports whether an error is the connection's and not the protocol's. Package websocket has no error
// values for the latter.
func isNetworkError(err error) bool {
	var netErr net.Error
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &netErr)
}

// endWrite ends a write and notes the cause of the connection's end that it shows.
func (c *Conn) endWrite(ctx context.Context, err error) {
	if expired := ctx.Err(); expired != nil { // otherwise the connection itself has seen what failed
		c.writeExpired(expired, err)
	}
	c.leave()
}

// writeExpired notes that the context of a write has ended meanwhile.
func (c *Conn) writeExpired(expired, err error) {
	switch {
	case !errors.Is(expired, context.DeadlineExceeded): // the caller has given up, which is not a failure
		if c.conn.Closed() {
			c.conn.Cancelled()
		}
	case err == nil:
		// The deadline may have closed the connection even though the write succeeded.
		c.conn.WriteGivenUp(expired)
	case errors.Is(err, context.DeadlineExceeded):
		c.conn.WriteFailed(err)
	}
}
