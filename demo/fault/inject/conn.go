package inject

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/sockscope/sockscope/demo/fault"
)

// slowWrite is what slow_consumer has a write take.
const slowWrite = time.Second

// heldConn is a connection whose reads and writes faults hold up, deadlines and closing aside, as the network would.
type heldConn struct {
	net.Conn
	in, out hold
	closed  func() // is told that the connection is closed; nil if nobody wants to know
}

func (c *heldConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if held := c.in.wait(); held != nil {
		return 0, held // what has come is lost, and so is the connection
	}
	return n, err
}

func (c *heldConn) Write(p []byte) (int, error) {
	if held := c.out.wait(); held != nil {
		return 0, held
	}
	return c.Conn.Write(p)
}

func (c *heldConn) SetDeadline(t time.Time) error {
	c.in.setDeadline(t)
	c.out.setDeadline(t)
	return c.Conn.SetDeadline(t)
}

func (c *heldConn) SetReadDeadline(t time.Time) error {
	c.in.setDeadline(t)
	return c.Conn.SetReadDeadline(t)
}

func (c *heldConn) SetWriteDeadline(t time.Time) error {
	c.out.setDeadline(t)
	return c.Conn.SetWriteDeadline(t)
}

func (c *heldConn) Close() error {
	if c.closed != nil {
		c.closed()
	}
	c.in.end(net.ErrClosed)
	c.out.end(net.ErrClosed)
	return c.Conn.Close()
}

// CloseRead ends what comes from the peer, if that can be ended by itself.
func (c *heldConn) CloseRead() error {
	half, ok := c.Conn.(interface{ CloseRead() error })
	if !ok {
		return fmt.Errorf("close half of a %T: %w", c.Conn, errors.ErrUnsupported)
	}
	c.in.end(io.EOF)
	return half.CloseRead()
}

// CloseWrite ends what goes to the peer, if that can be ended by itself.
func (c *heldConn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return fmt.Errorf("close half of a %T: %w", c.Conn, errors.ErrUnsupported)
	}
	return half.CloseWrite()
}

// vanish ends what comes from the peer without a close frame.
func (c *heldConn) vanish() {
	if c.CloseRead() != nil {
		_ = c.Close() // without half-closing (TLS) all of it goes; an error means that it is gone
	}
}

// hold keeps one direction of a connection waiting.
type hold struct {
	fault  *fault.Switch
	above  float64       // the strength at which the fault does not yet hold this connection
	atMost time.Duration // each time

	mu       sync.Mutex
	deadline time.Time
	ended    error
	waiting  context.Context // ends when the deadline or the end changes; nil while nobody waits
	wake     context.CancelFunc
}

// wait returns when the fault lets go, or an error when that comes too late.
func (h *hold) wait() error {
	if h.fault.Strength() <= h.above {
		return nil
	}
	for until := time.Now().Add(h.atMost); h.fault.Strength() > h.above; {
		ctx, rest, err := h.begin(until)
		if err != nil || rest <= 0 {
			return err
		}
		h.fault.Hold(ctx, rest)
	}
	return nil
}

// begin returns what ends the next wait, besides the fault's own end.
func (h *hold) begin(until time.Time) (context.Context, time.Duration, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	switch {
	case h.ended != nil:
		return nil, 0, h.ended
	case h.deadline.IsZero() || h.deadline.After(until):
	case now.Before(h.deadline):
		until = h.deadline
	default:
		return nil, 0, os.ErrDeadlineExceeded
	}
	if h.waiting == nil {
		h.waiting, h.wake = context.WithCancel(context.Background())
	}
	return h.waiting, until.Sub(now), nil
}

func (h *hold) setDeadline(t time.Time) {
	h.change(func() { h.deadline = t })
}

// end has the call that waits return the error.
func (h *hold) end(err error) {
	h.change(func() {
		if h.ended == nil || errors.Is(err, net.ErrClosed) {
			h.ended = err
		}
	})
}

func (h *hold) change(what func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	what()
	if h.wake != nil {
		h.wake()
		h.waiting, h.wake = nil, nil
	}
}

// Upgrades decorates a handler that takes its connections over from net/http: half_open, slow_consumer,
// mass_disconnect.
func (f *Faults) Upgrades(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(holding{w, f}, r) })
}

// holding is a response whose connection, once it is hijacked, faults can get at.
type holding struct {
	http.ResponseWriter
	faults *Faults
}

// Unwrap is for http.ResponseController.
func (w holding) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Hijack implements http.Hijacker.
func (w holding) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	return w.faults.hold(conn), buffered, nil
}

// hold returns a connection that faults can get at.
func (f *Faults) hold(conn net.Conn) *heldConn {
	held := &heldConn{Conn: conn}
	held.in.fault, held.in.atMost = f.halfOpen, fault.MaxDuration
	// Which connections are slow stays the same while the fault lasts.
	held.out.fault, held.out.above, held.out.atMost = f.slowConsumer, rand.Float64(), slowWrite
	held.closed = f.peers.add(held.vanish)
	return held
}

// Listener decorates a listener whose connections are a transport's from the start: half_open, slow_consumer,
// mass_disconnect.
func (f *Faults) Listener(l net.Listener) net.Listener { return holdingListener{l, f} }

type holdingListener struct {
	net.Listener
	faults *Faults
}

// Accept implements net.Listener.
func (l holdingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.faults.hold(conn), nil
}
