package gobwas

import (
	"net"

	"github.com/gobwas/ws"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/frames"
	"github.com/sockscope/sockscope/instrument/internal/wsconn"
)

type transport = net.Conn

// A Conn is an accepted connection that is observed. It is a net.Conn that carries exactly the bytes it is given, for
// ws, wsutil and everything else that reads and writes frames. It follows the frames in these bytes to find out what
// happens. It starts no goroutine. It sends nothing of its own except the close frame of CloseFor, of a panic and of
// Observer.Drain.
//
// As on any stream of frames, only one goroutine may read at a time. Concurrent writes are as safe as those of a
// net.Conn: a frame that is written by one call of Write stays in one piece.
//
// A failed write is counted as an error. It is also the reason for the connection's end, unless a better one is found.
// If the connection is closed after its read deadline has passed, nothing was received in time. A deadline in the past
// only wakes up a Read or gives up a Write.
type Conn struct {
	transport // conn
	conn      *wsconn.Conn
}

// Unwrap returns the connection underneath, for things that Conn does not have, such as the file descriptor for a
// poller. Frames that are read or written there are not observed. Read or write only whole frames there.
func (c *Conn) Unwrap() net.Conn { return c.conn.Conn }

// Observed returns the handle to note what only the application knows: types of messages, their handling, and drops.
func (c *Conn) Observed() *instrument.Conn { return c.conn.Observed() }

// CountMessages makes the Conn count each whole message that is read or written, with the type that classify returns
// for its opcode and the size of its payload on the wire. There the payload may be masked or compressed, so classify
// does not get it. A nil classify counts all messages as "other". Call it before the connection is used. Counts by
// Observed then count nothing.
func (c *Conn) CountMessages(classify func(op ws.OpCode, size int64) instrument.MessageType) {
	if classify == nil {
		c.conn.CountMessages(nil)
		return
	}
	c.conn.CountMessages(func(op frames.Opcode, size int64) instrument.MessageType {
		return classify(ws.OpCode(op), size)
	})
}

// CloseFor sends a close frame with the code and text, after the frame that is being written, and closes the
// connection, for a reason that a close code can't express, such as instrument.ReasonSlowConsumer. It takes at most a
// second, and sends no second close frame. It does not wait for the peer's answer, for which the peer has a second.
// Messages that the peer sends in that time are discarded. The text is cut to the 123 bytes that fit into the frame. A
// code that must not be sent, such as 1005, leads to a frame without code and text.
func (c *Conn) CloseFor(reason instrument.CloseReason, code ws.StatusCode, text string) error {
	return c.conn.CloseFor(reason, int(code), text)
}

// Close closes the connection, see net.Conn, and ends its observation. It must be called, and may be called again. The
// cause of the end is what was seen before: a close frame, a deadline, or an error. Without any of these the connection
// has ended normally.
//
// Defer Close in the handler. If the handler panics, Close counts the panic, sends the close code 1011, and panics
// again. A Close within a deferred function literal can't see the panic, because recover works only in the deferred
// function itself. So write defer c.Close() by itself, after the defer of the literal.
func (c *Conn) Close() error {
	if v := recover(); v != nil {
		c.conn.Panicked(v)
		_ = c.conn.Close()
		panic(v) //nolint:forbidigo // it is the handler's own panic, which its caller must see
	}
	return c.conn.Close()
}
