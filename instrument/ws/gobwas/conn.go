package gobwas

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/sockscope/sockscope/instrument"
)

// closeTimeout is how long a close frame of the adapter's own may take to be written.
const closeTimeout = time.Second

type transport = net.Conn

// A Conn is an accepted connection that is observed. It is a net.Conn that carries exactly the bytes it is given, for
// ws, wsutil and everything else that reads and writes frames; it follows the frames in them to find out what happens.
// It starts no goroutine, and sends nothing of its own but the close frame of CloseFor and of a panic.
//
// As on any stream of frames, only one goroutine may read at a time. Writes are safe for concurrent use as far as those
// of a net.Conn are: a frame that is written by one call of Write is not torn apart.
type Conn struct {
	transport
	session  *instrument.Conn
	counts   bool
	classify func(ws.OpCode, int64) instrument.MessageType

	early []byte // received together with the request
	in    follower

	writing sync.Mutex // frames must be followed in the order in which they are written
	out     follower

	pings pings

	ending      atomic.Pointer[instrument.Cause] // the first to know why the connection ends sets it
	ended       atomic.Bool
	peerCloses  atomic.Bool           // a close frame has begun to come in
	closeSent   atomic.Bool           // a close frame was written
	panicked    atomic.Bool           // and it was counted
	violation   atomic.Pointer[error] // of the protocol by the peer
	readTimeout atomic.Pointer[error] // of the last read, nil if it succeeded
	writeError  atomic.Pointer[error] // of the last write, nil if it succeeded

	readWoken, writeWoken atomic.Bool // the deadline had passed when it was set
}

// Unwrap returns the connection underneath, for what Conn does not offer, such as the file descriptor for a poller. Whole
// frames that are read or written there are not observed; parts of frames must not be.
func (c *Conn) Unwrap() net.Conn { return c.transport }

// Session returns the handle for what only the application knows: types of messages, their handling, what is dropped.
func (c *Conn) Observed() *instrument.Conn { return c.session }

// CountMessages makes the connection count each whole message that is read or written, with the type that classify
// returns for its opcode and the size of its payload, as it is on the wire: masked or compressed, which is why classify is
// not shown the payload. A nil classify counts all messages as "other". It is to be called before the connection is
// used; the application then must not count messages itself. By default it does, by Observed, when it knows their types.
func (c *Conn) CountMessages(classify func(op ws.OpCode, size int64) instrument.MessageType) {
	c.counts, c.classify = true, classify
}

// Read reads what the peer has sent, see net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.read(p)
	c.received(p[:n])
	if err != nil {
		c.readFailed(err)
	}
	return n, err
}

func (c *Conn) read(p []byte) (int, error) {
	if len(c.early) == 0 {
		return c.transport.Read(p)
	}
	n := copy(p, c.early)
	if c.early = c.early[n:]; len(c.early) == 0 {
		c.early = nil
	}
	return n, nil
}

// received follows what was read.
func (c *Conn) received(p []byte) {
	if len(p) > 0 && c.readTimeout.Load() != nil {
		c.readTimeout.Store(nil)
	}
	for {
		var whole bool
		if p, whole = c.in.next(p); !whole {
			break
		}
		switch {
		case c.in.header.OpCode == ws.OpClose:
			c.say(peerCause(&c.in))
		case c.in.header.OpCode == ws.OpPong:
			c.pings.answered(c.in.control.sum)
		case c.counts && c.in.message():
			c.session.Received(c.messageType(&c.in), int(c.in.size))
		}
	}
	if c.in.within && c.in.header.OpCode == ws.OpClose {
		c.peerCloses.Store(true)
	}
	if c.in.violation != nil && c.violation.Load() == nil {
		c.violation.Store(&c.in.violation)
	}
}

// Write writes to the peer, see net.Conn. A failed write is counted as an error and, unless there turns out to be a
// better reason, as the one for which the connection ends.
func (c *Conn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.write(p)
}

func (c *Conn) write(p []byte) (int, error) {
	c.announce(p)
	n, err := c.transport.Write(p)
	c.sent(p[:n])
	if err != nil {
		c.writeFailed(err)
	} else if c.writeError.Load() != nil {
		c.writeError.Store(nil)
	}
	return n, err
}

// announce looks ahead at what is about to be written for what the peer may answer before Write has returned.
func (c *Conn) announce(p []byte) {
	ahead := c.out
	for {
		var whole bool
		if p, whole = ahead.next(p); !whole {
			return
		}
		switch ahead.header.OpCode {
		case ws.OpPing:
			c.pings.sent(ping{c.session.BeginPing(), ahead.control.sum})
		case ws.OpClose:
			c.say(c.ownCause(&ahead))
		}
	}
}

// sent follows what was written.
func (c *Conn) sent(p []byte) {
	for {
		var whole bool
		if p, whole = c.out.next(p); !whole {
			return
		}
		switch {
		case c.out.header.OpCode == ws.OpClose:
			c.closeSent.Store(true)
		case c.counts && c.out.message():
			c.session.Sent(c.messageType(&c.out), int(c.out.size))
		}
	}
}

func (c *Conn) messageType(f *follower) instrument.MessageType {
	if c.classify == nil {
		return instrument.MessageType{}
	}
	return c.classify(f.op, f.size)
}

// SetDeadline sets the deadline of reads and writes, see net.Conn, SetReadDeadline and SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error {
	woken := passed(t)
	c.readWoken.Store(woken)
	c.writeWoken.Store(woken)
	return c.transport.SetDeadline(t)
}

// SetReadDeadline sets the deadline of reads, see net.Conn. A connection that is closed after the deadline has passed is
// one on which nothing was received in time; a deadline in the past only wakes up a Read.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.readWoken.Store(passed(t))
	return c.transport.SetReadDeadline(t)
}

// SetWriteDeadline sets the deadline of writes, see net.Conn. A write that reaches it has failed, unless it was set in
// the past in order to give up the write.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.writeWoken.Store(passed(t))
	return c.transport.SetWriteDeadline(t)
}

func passed(deadline time.Time) bool {
	return !deadline.IsZero() && time.Until(deadline) <= 0
}

// CloseFor sends a close frame with the code and text, waits at most a second for it to be written, and closes the
// connection, for a reason that a close code cannot tell, such as instrument.ReasonSlowConsumer. It does not send the
// frame where it would do harm, within another frame or after another close frame. The text is cut to the 123 bytes
// that fit into the frame; a code that must not be sent, such as 1005, makes a frame without code and text.
func (c *Conn) CloseFor(reason instrument.CloseReason, code ws.StatusCode, text string) error {
	if code.Empty() || code.IsProtocolReserved() {
		code = ws.StatusNoStatusRcvd
	}
	c.say(local(reason, code))
	return errors.Join(c.sendClose(code, text), c.close())
}

var errWithinFrame = errors.New("gobwas: close frame not sent, because another frame is not written to its end")

func (c *Conn) sendClose(code ws.StatusCode, text string) error {
	// Also for a write that holds the lock.
	if err := c.transport.SetWriteDeadline(time.Now().Add(closeTimeout)); err != nil {
		return err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.closeSent.Load() {
		return nil
	}
	if !c.out.aligned() {
		return errWithinFrame
	}
	var body []byte
	if code != ws.StatusNoStatusRcvd {
		const room = ws.MaxControlFramePayloadSize - 2
		body = ws.NewCloseFrameBody(code, strings.ToValidUTF8(text[:min(len(text), room)], ""))
	}
	frame, err := ws.CompileFrame(ws.NewCloseFrame(body))
	if err != nil {
		return err
	}
	_, err = c.write(frame)
	return err
}

// Close closes the connection, see net.Conn, and ends its observation: it must be called, and may be called again. The
// connection has ended for what was seen before: a close frame, a deadline, an error. Without any it was cut by this
// side.
//
// Close is meant to be deferred by the handler itself. Then it finds out if the handler panics, counts that, tells the
// peer by the close code 1011, and panics again. A Close that is called within a deferred function literal cannot see
// the panic, because recover works only in the deferred function itself: write defer c.Close() by itself, after the
// defer of the literal.
func (c *Conn) Close() error {
	if v := recover(); v != nil {
		c.reportPanic(v)
		_ = c.close()
		panic(v) //nolint:forbidigo // it is the handler's own panic, which its caller must see
	}
	return c.close()
}

func (c *Conn) close() error {
	c.say(c.cutCause())
	err := c.transport.Close()
	c.end()
	return err
}

func (c *Conn) reportPanic(v any) {
	if v == http.ErrAbortHandler { //nolint:errorlint // net/http does not unwrap it either
		return
	}
	if !c.panicked.CompareAndSwap(false, true) {
		return
	}
	err := fmt.Errorf("panic: %v", v)
	c.session.Failed(context.Background(), instrument.ErrorPanic, err)
	cause := local(instrument.ReasonInternal, ws.StatusInternalServerError)
	cause.Err = err
	c.say(cause)
	_ = c.sendClose(ws.StatusInternalServerError, "") // there is nobody to tell that it failed
}
