package gorilla

import (
	"net"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/wsconn"
)

// A Conn is an upgraded connection that is observed. It has all methods of *websocket.Conn, under the same rules of
// concurrency. It starts no goroutine and sends nothing of its own, but for the close frames of CloseFor, of a panic and
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

// Unwrap returns the connection underneath. What is done with it is observed, but for the counting of messages; a
// connection that ends that way is counted by Close.
func (c *Conn) Unwrap() *websocket.Conn { return c.Conn }

// NetConn returns the network connection underneath, see websocket.Conn.NetConn. What is done with it is not observed.
func (c *Conn) NetConn() net.Conn { return c.conn.Conn }

// UnderlyingConn is an older name of NetConn, see websocket.Conn.UnderlyingConn.
func (c *Conn) UnderlyingConn() net.Conn { return c.conn.Conn }

// Observed returns the handle for what only the application knows: types of messages, their handling, what is dropped.
// It is nil, and its methods do nothing, if the connection is not observed.
func (c *Conn) Observed() *instrument.Conn { return c.conn.Observed() }

// CountMessages has the Conn count each data message that it reads or writes with the type that classify returns; with
// a nil classify every message is of the type "other". Call it before the connection is used. The application's own
// counts by Observed then count nothing.
//
// The kind is websocket.TextMessage or websocket.BinaryMessage. The payload is only valid during the call; of a message
// that the application reads by NextReader or ReadJSON, or writes by NextWriter, it is the first piece read or written.
// A message that is not read to its end counts with the size of what was read, by ReadJSON at once and by NextReader
// when the next one is read.
func (c *Conn) CountMessages(classify func(kind int, payload []byte) instrument.MessageType) {
	c.counting, c.counter, c.classify = true, c.Observed().BeginCounting(), classify
}

func (c *Conn) typeOf(kind int, payload []byte) instrument.MessageType {
	if c.classify == nil {
		return instrument.MessageType{}
	}
	return c.classify(kind, payload)
}

// CloseFor sends a close frame, behind the frame that is being written, and closes the connection, for a reason that the
// close code cannot tell, such as instrument.ReasonSlowConsumer. It waits at most a second for that. Like Close it does
// not wait for the peer's answer and may be called concurrently with all other methods.
func (c *Conn) CloseFor(reason instrument.CloseReason, code int, text string) error {
	defer c.conn.End()
	c.conn.Judged()
	return c.conn.CloseFor(reason, code, text)
}

// Close closes the connection without the close handshake, see websocket.Conn.Close. The connection has ended for what
// was seen before: a close frame, a deadline, an error. Without any it has served its purpose. On a connection that has
// ended already it changes nothing.
//
// Close itself is meant to be deferred. If the function that defers it panics, the panic is counted as an error, the
// peer is sent the close code 1011, for which Close waits at most a second, and the panic goes on. http.ErrAbortHandler
// is no error but a cut. A Close that is called within a deferred function literal cannot see the panic, because recover
// works only in the deferred function itself: write defer c.Close() by itself, after the defer of the literal.
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

// readFailed ends the observation after a read has failed. A read that the application has woken up tells nothing: it is
// about to close the connection.
func (c *Conn) readFailed() {
	if !c.conn.Woken() {
		c.conn.End()
	}
}
