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
// ws, wsutil and everything else that reads and writes frames. It follows the frames in them to find out what happens. It
// starts no goroutine, and sends nothing of its own but the close frame of CloseFor, of a panic and of Observer.Drain.
//
// As on any stream of frames, only one goroutine may read at a time. Writes are safe for concurrent use as far as those
// of a net.Conn are: a frame that is written by one call of Write is not torn apart.
//
// A write that fails is counted as an error. Unless there turns out to be a better reason, it is why the connection ends.
// A connection that is closed after its read deadline has passed is one on which nothing was received in time. A deadline
// that is set in the past only wakes up a Read or gives up a Write.
type Conn struct {
	transport // conn
	conn      *wsconn.Conn
}

// Unwrap returns the connection underneath, for what Conn does not offer, such as the file descriptor for a poller. Whole
// frames that are read or written there are not observed; parts of frames must not be.
func (c *Conn) Unwrap() net.Conn { return c.conn.Conn }

// Observed returns the handle for what only the application knows: types of messages, their handling, what is dropped.
func (c *Conn) Observed() *instrument.Conn { return c.conn.Observed() }

// CountMessages has each whole message counted that is read or written, with the type that classify returns for its
// opcode and the size of its payload, as it is on the wire: masked or compressed, which is why classify is not shown the
// payload. A nil classify counts all messages as "other". Call it before the connection is used. The application's own
// counts by Observed then count nothing.
func (c *Conn) CountMessages(classify func(op ws.OpCode, size int64) instrument.MessageType) {
	if classify == nil {
		c.conn.CountMessages(nil)
		return
	}
	c.conn.CountMessages(func(op frames.Opcode, size int64) instrument.MessageType {
		return classify(ws.OpCode(op), size)
	})
}

// CloseFor sends a close frame with the code and text, behind the frame that is being written, and closes the connection,
// for a reason that a close code cannot tell, such as instrument.ReasonSlowConsumer. It waits at most a second for that,
// and sends no second close frame. The text is cut to the 123 bytes that fit into the frame; a code that must not be
// sent, such as 1005, makes a frame without code and text.
func (c *Conn) CloseFor(reason instrument.CloseReason, code ws.StatusCode, text string) error {
	return c.conn.CloseFor(reason, int(code), text)
}

// Close closes the connection, see net.Conn, and ends its observation: it must be called, and may be called again. The
// connection has ended for what was seen before: a close frame, a deadline, an error. Without any it has served its
// purpose.
//
// Close is meant to be deferred by the handler itself. Then it finds out if the handler panics, counts that, tells the
// peer by the close code 1011, and panics again. A Close that is called within a deferred function literal cannot see
// the panic, because recover works only in the deferred function itself: write defer c.Close() by itself, after the
// defer of the literal.
func (c *Conn) Close() error {
	if v := recover(); v != nil {
		c.conn.Panicked(v)
		_ = c.conn.Close()
		panic(v) //nolint:forbidigo // it is the handler's own panic, which its caller must see
	}
	return c.conn.Close()
}
