package ws

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/answer"
	"github.com/sockscope/sockscope/instrument/internal/frames"
	"github.com/sockscope/sockscope/instrument/internal/handshake"
	"github.com/sockscope/sockscope/instrument/internal/wsconn"
)

const (
	// closeTimeout is how long the peer has to answer the close frame of a drain.
	closeTimeout = time.Second
	// maxEarly is the number of bytes that a peer may send before it is answered.
	maxEarly = 4096
)

// A conn is a hijacked connection. It carries exactly the bytes it is given, except for the close frame of a drain or
// panic. It follows first the answer and then the frames in these bytes.
type conn struct {
	net.Conn
	observer *instrument.Observer

	phase    atomic.Uint32
	followed wsconn.Conn // from the phase following on
	opening  sync.Mutex  // of changes of the phase, and of early
	handling atomic.Bool
	ends     sync.Once
	ended    chan struct{}

	handshake *instrument.Handshake // nil when it is over, or somebody else ends it
	refused   handshake.Refusal     // in the phase aside
	early     []byte                // received before the answer
	ahead     *ahead                // nil unless somebody has read before the answer
	broken    atomic.Bool           // a read or write failed before the answer
	cut       atomic.Bool           // closed by this side while the handler ran, for an unknown reason

	writing  sync.Mutex // until the answer is written
	head     answer.Head
	accepted frames.Extensions
}

// The phases of a conn. They only go on.
const (
	answering uint32 = iota // the answer has not been written to its end
	answered                // with 101; an adapter that has taken the handshake may open the connection
	following               // this package observes the connection
	aside                   // the handshake was refused, or an adapter observes the connection
)

// An ahead is a connection on which a Read began before the answer was written, and ended after it.
type ahead struct {
	net.Conn
	read []byte
	err  error // behind read
}

func (a *ahead) Read(p []byte) (int, error) {
	if a.read == nil && a.err == nil {
		return a.Conn.Read(p)
	}
	n, err := copy(p, a.read), a.err // the same Read has p, so there is room
	a.read, a.err = nil, nil
	return n, err
}

var _ answer.Follower = (*conn)(nil)

// The causes of the end of a handshake that has hijacked the connection.
var (
	errGone       = errors.New("the peer was gone before it was answered")
	errUnanswered = errors.New("the connection was closed without an answer")
	errNoAnswer   = errors.New("the connection was taken over, and what was written on it is no answer")
	errEarly      = errors.New("the peer sent data before it was answered")
)

func newConn(hijacked net.Conn, o *instrument.Observer, h *instrument.Handshake, early []byte) *conn {
	c := &conn{Conn: hijacked, observer: o, handshake: h, early: early, ended: make(chan struct{})}
	c.handling.Store(true)
	return c
}

// NetConn returns the connection underneath, such as the *net.TCPConn.
func (c *conn) NetConn() net.Conn { return c.Conn }

// answeredWith notes the answer.
func (c *conn) answeredWith(status int, header http.Header) {
	if c.accept(status, header) {
		c.open()
	}
}

// accept reports whether to open the connection at once, because nobody else may do so.
func (c *conn) accept(status int, header http.Header) bool {
	c.opening.Lock()
	defer c.opening.Unlock()
	if c.phase.Load() != answering {
		return false
	}
	switch status {
	case http.StatusSwitchingProtocols:
	case 0:
		c.refuse(handshake.Failed(errNoAnswer))
		return false
	default:
		c.refuse(handshake.Answered(c.observer, status, nil))
		return false
	}
	c.accepted = frames.ParseExtensions(header["Sec-Websocket-Extensions"])
	c.phase.Store(answered)
	return !c.handshake.Taken()
}

// refuse ends the handshake, unless an adapter has taken it, which knows more. Then it ends with the handler at the
// latest.
func (c *conn) refuse(r handshake.Refusal) {
	c.refused = r
	c.phase.Store(aside)
	if !c.handshake.Taken() || !c.handling.Load() {
		r.End(c.handshake)
	}
}

// open opens the connection if it was answered and nobody else has.
func (c *conn) open() {
	c.opening.Lock()
	defer c.opening.Unlock()
	if c.phase.Load() != answered {
		return
	}
	observed := c.handshake.Opened(http.StatusSwitchingProtocols)
	if observed == nil {
		c.phase.Store(aside)
		return
	}
	underneath := c.Conn
	if c.ahead != nil {
		underneath = c.ahead
	}
	c.followed.Conn = underneath
	c.followed.BeginBehind(wsconn.Config{Observed: observed, Extensions: c.accepted}, c.early)
	c.followed.CountMessages(nil)
	c.handshake, c.early = nil, nil // the connection may outlive the request by hours
	c.phase.Store(following)
	observed.OnDrain(c.drain)
}

// Read reads bytes of the peer, see net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if c.phase.Load() == following {
		return c.followed.Read(p)
	}
	return c.readBefore(p)
}

// readBefore reads while it is not known yet whether the connection is followed.
func (c *conn) readBefore(p []byte) (int, error) {
	for {
		switch c.phase.Load() {
		case following:
			return c.followed.Read(p)
		case aside:
			return c.Conn.Read(p)
		case answered:
			c.open()
		case answering:
			if n, err, early := c.readEarly(p); early {
				return n, err
			}
		}
	}
}

// readEarly reads before the answer. A peer that sends more than maxEarly is refused, and its connection is not
// observed. readEarly returns false if the answer was written meanwhile. Then the next Read returns the same bytes.
func (c *conn) readEarly(p []byte) (n int, err error, early bool) { //nolint:revive // the error is that of the Read
	if !c.readAhead() {
		return 0, nil, false
	}
	n, err = c.Conn.Read(p)
	c.opening.Lock()
	defer c.opening.Unlock()
	switch c.phase.Load() {
	case answering:
		c.broken.Store(c.broken.Load() || err != nil)
		if c.early = append(c.early, p[:n]...); len(c.early) > maxEarly {
			c.refuse(handshake.Gone(errEarly))
		}
		return n, err, true
	case aside:
		return n, err, true
	default:
		c.ahead.read, c.ahead.err = bytes.Clone(p[:n]), err
		return 0, nil, false
	}
}

// readAhead reports whether somebody reads before the answer was written, and notes that.
func (c *conn) readAhead() bool {
	c.opening.Lock()
	defer c.opening.Unlock()
	if c.phase.Load() != answering {
		return false
	}
	if c.ahead == nil {
		c.ahead = &ahead{Conn: c.Conn}
	}
	return true
}

// Write writes to the peer, see net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	if c.phase.Load() == following {
		return c.followed.Write(p)
	}
	return c.writeBefore(p)
}

// writeBefore writes while it is not known yet whether the connection is followed.
func (c *conn) writeBefore(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.phase.Load() == answering {
		return c.answer(p)
	}
	return c.write(p)
}

// answer writes a part of the answer, and the bytes after it.
func (c *conn) answer(p []byte) (int, error) {
	rest, whole := c.head.Read(p)
	n, err := c.Conn.Write(p[:len(p)-len(rest)])
	if err != nil {
		c.broken.Store(true)
		return n, err
	}
	if !whole {
		return n, nil
	}
	c.answeredWith(c.head.Status, c.head.Header)
	c.head = answer.Head{}
	if len(rest) == 0 {
		return n, nil
	}
	m, err := c.write(rest)
	return n + m, err
}

// write writes bytes that are not part of the answer.
func (c *conn) write(p []byte) (int, error) {
	if c.phase.Load() == answered {
		c.open()
	}
	return c.current().Write(p)
}

// SetDeadline sets the deadline of reads and writes, see net.Conn.
func (c *conn) SetDeadline(t time.Time) error { return c.current().SetDeadline(t) }

// SetReadDeadline sets the deadline of reads, see net.Conn. One in the past only wakes up a Read.
func (c *conn) SetReadDeadline(t time.Time) error { return c.current().SetReadDeadline(t) }

// SetWriteDeadline sets the deadline of writes, see net.Conn. One in the past only gives up a Write.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.current().SetWriteDeadline(t) }

// current returns the connection that is written to and takes deadlines.
func (c *conn) current() net.Conn {
	if c.phase.Load() == following {
		return &c.followed
	}
	return c.Conn
}

// CloseWrite shuts down the writing side, see net.TCPConn. For the peer that is the end.
func (c *conn) CloseWrite() error {
	if c.phase.Load() == following && !c.followed.Known() {
		c.followed.Say(instrument.ReasonNormal, codeAbnormal)
	}
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite() //nolint:forcetypeassert // only handed out where it has
}

// The close codes that this side uses by itself.
const (
	codeGoingAway = 1001
	codeAbnormal  = 1006
)

// SyscallConn returns the raw connection, see syscall.Conn.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	return c.Conn.(syscall.Conn).SyscallConn() //nolint:forcetypeassert // only handed out where it has
}

// Close closes the connection, see net.Conn, and ends its observation.
func (c *conn) Close() error {
	if c.phase.Load() == answered {
		c.open()
	}
	switch c.phase.Load() {
	case following:
		err := c.followed.Close()
		c.closed()
		return err
	case answering:
		defer c.unanswered()
	}
	return c.Conn.Close()
}

// unanswered ends the handshake of a connection that was closed before it was answered.
func (c *conn) unanswered() {
	c.opening.Lock()
	defer c.opening.Unlock()
	if c.phase.Load() != answering {
		return
	}
	switch {
	case c.broken.Load():
		c.refuse(handshake.Gone(errGone))
	case len(c.early) > 0:
		c.refuse(handshake.Gone(errEarly))
	default:
		c.refuse(handshake.Failed(errUnanswered))
	}
}

// closed ends the observation after Close. If the cause of the end is unknown and the handler still runs, it may have
// closed the connection because it panics. That is known when it returns.
func (c *conn) closed() {
	if !c.followed.Known() && c.handling.Load() {
		c.cut.Store(true)
		if c.handling.Load() {
			return
		}
	}
	c.end()
}

func (c *conn) end() {
	c.followed.End()
	c.ends.Do(func() { close(c.ended) })
}

// handlerReturned notes that the handler has returned. The connection may stay open.
func (c *conn) handlerReturned() {
	c.handling.Store(false)
	switch c.phase.Load() {
	case answered:
		c.open()
	case answering:
		if c.broken.Load() {
			c.unanswered() // there is nobody left to answer
		}
	case following:
		if c.cut.Load() {
			c.end()
		}
	case aside:
		c.refused.End(c.handshake) // which may have ended
	}
}

// handlerPanicked closes the connection of a handler that panics, with the close code 1011.
func (c *conn) handlerPanicked(v any) {
	c.handling.Store(false)
	switch c.phase.Load() {
	case answered:
		c.open()
	case answering:
		c.opening.Lock()
		if c.phase.Load() == answering {
			c.refuse(handshake.Panic(v))
			_ = c.Conn.Close()
		}
		c.opening.Unlock()
	}
	if c.phase.Load() == following {
		c.followed.Panicked(v)
		_ = c.Close()
	}
}

// drain closes the connection because the server shuts down. It sends a close frame. Then the code that reads can find
// the peer's close frame and close the connection. After a second drain closes it.
func (c *conn) drain() {
	c.followed.Say(instrument.ReasonShutdown, codeGoingAway)
	if err := c.followed.SendClose(codeGoingAway, ""); err == nil {
		timeout := time.NewTimer(closeTimeout)
		defer timeout.Stop()
		select {
		case <-c.ended:
		case <-timeout.C:
		}
	}
	_ = c.Close()
}
