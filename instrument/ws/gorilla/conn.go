package gorilla

import (
	"net"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/wsconn"
)

// A Conn is an upgraded connection that is observed. It has all methods of *websocket.Conn, under the same rules of
// concurrency. It starts no goroutine. It sends nothing of its own except the close frames of CloseFor, of a panic and
// of Observer.Drain.
type Conn struct {
	*websocket.Conn

	conn *wsconn.Conn

	counting bool
	counter  instrument.Counter
	classify func(kind int, payload []byte) instrument.MessageType
	reading  *messageReader // the reader that the application has got last, the reading goroutine's
	writing  *messageWriter // the writer that is open, the writing goroutine's
}

// Unwrap returns the connection underneath. Its use is observed, except that messages are not counted. A connection
// that ends that way is counted by Close.
func (c *Conn) Unwrap() *websocket.Conn { return c.Conn }

// NetConn returns the network connection underneath; see websocket.Conn.NetConn. Its use is not observed.
func (c *Conn) NetConn() net.Conn { return c.conn.Conn }

// UnderlyingConn is an older name of NetConn; see websocket.Conn.UnderlyingConn.
func (c *Conn) UnderlyingConn() net.Conn { return c.conn.Conn }

// Observed returns the handle to note what only the application knows: types of messages, their handling, and drops. If
// the connection is not observed, it returns nil, whose methods do nothing.
func (c *Conn) Observed() *instrument.Conn { return c.conn.Observed() }

// CountMessages makes the Conn count each data message that it reads or writes, with the type that classify returns, or
// as "other" if classify is nil. Call it before the connection is used. Counts by Observed then count nothing.
//
// The kind is websocket.TextMessage or websocket.BinaryMessage. The payload is only valid during the call. For a
// message that the application reads by NextReader or ReadJSON, or writes by NextWriter, it is the first piece. A
// message that is not read to its end counts with the size that was read: by ReadJSON at once, and by NextReader when
// the next message is read.
func (c *Conn) CountMessages(classify func(kind int, payload []byte) instrument.MessageType) {
	c.counting, c.counter, c.classify = true, c.Observed().BeginCounting(), classify
}

func (c *Conn) typeOf(kind int, payload []byte) instrument.MessageType {
	if c.classify == nil {
		return instrument.MessageType{}
	}
	return c.classify(kind, payload)
}

// CloseFor sends a close frame, after the frame that is being written, and closes the connection, for a reason that the
// close code can't express, such as instrument.ReasonSlowConsumer. It takes at most a second, and may be called
// concurrently with all other methods. It does not wait for the peer's answer, for which the peer has a second.
// Messages that the peer sends in that time are discarded.
func (c *Conn) CloseFor(reason instrument.CloseReason, code int, text string) error {
	defer c.conn.End()
	c.conn.Judged()
	return c.conn.CloseFor(reason, code, text)
}

// Close closes the connection without the close handshake; see websocket.Conn.Close. The cause of the end is what was
// seen before: a close frame, a deadline, or an error. Without any of these the connection has ended normally. On a
// connection that has ended already, Close changes nothing.
//
// Defer Close in the handler. If the handler panics, Close counts the panic as an error, sends the close code 1011,
// which takes at most a second, and lets the panic go on. http.ErrAbortHandler does not count as an error: the
// connection is cut. A Close within a deferred function literal can't see the panic, because recover works only in the
// deferred function itself. So write defer c.Close() by itself, after the defer of the literal.
func (c *Conn) Close() error {
	if v := recover(); v != nil {
		c.conn.Panicked(v)
		_ = c.cut()
		panic(v) //nolint:forbidigo // the application's own panic goes on as if there had been no adapter
	}
	return c.cut()
}

func (c *Conn) cut() error {
	defer c.conn.End()
	return c.Conn.Close()
}

// readFailed ends the observation after a failed read. If the application has woken up the read, that says nothing,
// because the application is about to close the connection.
func (c *Conn) readFailed() {
	if !c.conn.Woken() {
		c.conn.End()
	}
}
