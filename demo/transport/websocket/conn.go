package websocket

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// answer is a response whose connection, once it is hijacked, is a conn.
type answer struct {
	http.ResponseWriter
	conn *conn
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Hijack implements http.Hijacker.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	hijacked, buffered, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	a.conn = &conn{Conn: hijacked}
	return a.conn, buffered, nil
}

// conn is the connection under a WebSocket. The library writes each frame by a call of Write, and sets the deadline
// before that. Here several frames are written by one call, and a deadline is set only if it is another one.
type conn struct {
	net.Conn
	held *held // takes frames before they are written together; nil unless they are about to be
	torn error // why nothing more can be written: a frame that was held has been written in part

	mu       sync.Mutex
	deadline time.Time // of writes
}

// held is frames that are to be written together.
type held struct {
	data  []byte
	ends  []int // of each frame in data
	last  bool  // the next frame is the last
	whole int   // frames that were written to their end
}

// borrow returns memory for frames that are about to be written together.
func (h *Handler) borrow() *held {
	if borrowed, ok := h.held.Get().(*held); ok {
		return borrowed
	}
	return new(held)
}

func (h *Handler) giveBack(borrowed *held) {
	*borrowed = held{data: borrowed.data[:0], ends: borrowed.ends[:0]}
	h.held.Put(borrowed)
}

var errTorn = errors.New("a frame before was not written to its end")

// Write writes a frame, after those that are held. A control frame does not wait for them, because it may come from
// another goroutine.
func (c *conn) Write(p []byte) (int, error) {
	const control = 8 // the bit of opcodes
	switch {
	case c.torn != nil:
		return 0, c.torn
	case len(p) == 0, p[0]&control != 0, c.held == nil:
		return c.Conn.Write(p)
	}
	return c.gather(c.held, p)
}

// gather holds a frame or, if it is the last, writes all. It returns how much of this one was written.
func (c *conn) gather(h *held, p []byte) (int, error) {
	before := len(h.data)
	h.data = append(h.data, p...)
	h.ends = append(h.ends, len(h.data))
	if !h.last {
		return len(p), nil
	}
	n, err := c.Conn.Write(h.data)
	begun := 0 // of the frame that was not written to its end
	for h.whole < len(h.ends) && h.ends[h.whole] <= n {
		begun = h.ends[h.whole]
		h.whole++
	}
	if n > begun && n < before { // what is above does not know of it
		c.torn = fmt.Errorf("%w: %w", errTorn, err)
	}
	return max(0, n-before), err
}

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.Equal(c.deadline) {
		return nil
	}
	c.deadline = t
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return c.Conn.SetDeadline(t)
}

// CloseWrite ends what goes to the peer, if that can be ended by itself.
func (c *conn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

// linger lets the peer read the close frame that it was just sent. To close a connection with something unread resets
// it, which takes back what the peer has not read either.
func (c *conn) linger() {
	if c.CloseWrite() != nil {
		return
	}
	_ = c.SetReadDeadline(time.Now().Add(lingering))
	_, _ = io.Copy(io.Discard, c.Conn) // an error means that the peer has gone, or takes too long
}
