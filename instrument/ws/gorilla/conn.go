package gorilla

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/instrument"
)

// closeWait bounds how long CloseFor and a panic wait for the close frame to be written.
const closeWait = time.Second

// A Conn is an upgraded connection that is observed. It has all methods of *websocket.Conn, under the same rules of
// concurrency, and finds out from their results how the connection ended. It starts no goroutine and sends nothing of
// its own, but for the close frames of CloseFor and of a panic.
type Conn struct {
	*websocket.Conn

	session *instrument.Conn

	ending     atomic.Pointer[instrument.Cause] // the first to know why the connection ends sets it
	announced  atomic.Pointer[instrument.Cause] // by a close frame of the application
	writeError atomic.Pointer[error]            // of the last write, nil if it succeeded
	panicking  atomic.Bool                      // the panic is counted
	pings      pings

	readDeadline readDeadline

	counting bool
	classify func(kind int, payload []byte) instrument.MessageType
	reading  *messageReader // the reader that the application has got last, the reading goroutine's
	writing  *messageWriter // the writer that is open, the writing goroutine's

	handlePong, handlePing func(data string) error // the application's
	handleClose            func(code int, text string) error
	defaultPing            func(data string) error // the transport's
	defaultClose           func(code int, text string) error
}

func newConn(ws *websocket.Conn, session *instrument.Conn) *Conn {
	c := &Conn{Conn: ws, session: session, defaultPing: ws.PingHandler(), defaultClose: ws.CloseHandler()}
	c.SetPongHandler(nil)
	c.SetPingHandler(nil)
	c.SetCloseHandler(nil)
	ws.SetPongHandler(c.pong)
	ws.SetPingHandler(c.ping)
	ws.SetCloseHandler(c.close)
	return c
}

// Unwrap returns the connection underneath. What is done with it is not observed; a connection that ends that way is
// counted when a read fails, or by Close.
func (c *Conn) Unwrap() *websocket.Conn { return c.Conn }

// Session returns the handle for what only the application knows: types of messages, their handling, what is dropped.
// It is nil, and its methods do nothing, if the connection is not observed.
func (c *Conn) Observed() *instrument.Conn { return c.session }

// CountMessages has the Conn count each data message that it reads or writes with the type that classify returns; with
// a nil classify every message is of the type "other". It is to be called before the connection is used, and the
// application must then not count by Session's Receive, Received and Sent.
//
// The kind is websocket.TextMessage or websocket.BinaryMessage. The payload is only valid during the call; of a message
// that the application reads by NextReader or ReadJSON, or writes by NextWriter, it is the first piece read or written.
// A message that is not read to its end counts with the size of what was read, by ReadJSON at once and by NextReader
// when the next one is read.
func (c *Conn) CountMessages(classify func(kind int, payload []byte) instrument.MessageType) {
	c.counting, c.classify = true, classify
}

func (c *Conn) typeOf(kind int, payload []byte) instrument.MessageType {
	if c.classify == nil {
		return instrument.MessageType{}
	}
	return c.classify(kind, payload)
}

// CloseFor sends a close frame, waits at most a second for it to be written, and closes the connection, for a reason
// that the close code cannot tell, such as instrument.ReasonSlowConsumer. Like Close it does not wait for the peer's
// answer and may be called concurrently with all other methods.
func (c *Conn) CloseFor(reason instrument.CloseReason, code int, text string) error {
	c.closing(instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: reason, Code: code})
	err := c.writeClose(code, text)
	if errors.Is(err, websocket.ErrCloseSent) {
		err = nil // the peer, or a close frame of the application, came first
	}
	return errors.Join(err, c.cut())
}

// Close closes the connection without the close handshake, see websocket.Conn.Close: with the cause that a close frame
// written before has announced, or as a cut. On a connection that has ended already it changes nothing.
//
// Close itself is meant to be deferred. If the function that defers it panics, the panic is counted as an error, the
// peer is sent the close code 1011, for which Close waits at most a second, and the panic goes on. http.ErrAbortHandler
// is no error but a cut. A Close that is called within a deferred function literal cannot see the panic, because recover
// works only in the deferred function itself: write defer c.Close() by itself, after the defer of the literal.
func (c *Conn) Close() error {
	if v := recover(); v != nil {
		c.panicked(v)
		panic(v) //nolint:forbidigo // the application's own panic goes on as if there had been no adapter
	}
	return c.cut()
}

func (c *Conn) cut() error {
	c.closing(c.cutCause())
	defer c.end()
	return c.Conn.Close()
}

func (c *Conn) panicked(v any) {
	if v == http.ErrAbortHandler { //nolint:errorlint // net/http compares the value itself
		_ = c.cut()
		return
	}
	if !c.panicking.CompareAndSwap(false, true) {
		return // on its way up it meets several deferred Closes
	}
	err := fmt.Errorf("panic: %v", v)
	c.fail(instrument.ErrorPanic, err)
	cause := local(instrument.ReasonInternal, websocket.CloseInternalServerErr)
	cause.Err = err
	if c.closing(cause) {
		_ = c.writeClose(cause.Code, "")
	}
	_ = c.cut()
}

func (c *Conn) writeClose(code int, text string) error {
	frame := websocket.FormatCloseMessage(code, text)
	return c.Conn.WriteControl(websocket.CloseMessage, frame, time.Now().Add(closeWait))
}
