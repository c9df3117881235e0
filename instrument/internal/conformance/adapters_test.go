package conformance_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"
	gorillaws "github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/instrument"
	observed "github.com/sockscope/sockscope/instrument/ws"
	"github.com/sockscope/sockscope/instrument/ws/coder"
	"github.com/sockscope/sockscope/instrument/ws/gobwas"
	"github.com/sockscope/sockscope/instrument/ws/gorilla"
)

// readLimit is the size of the largest message that the adapters' applications read.
const readLimit = 1024

// A conn is a connection as the handler has it, by whatever adapter.
type conn interface {
	Observed() *instrument.Conn
	// countMessages has the adapter count.
	countMessages()
	// read reads a message.
	read() error
	// write writes a message.
	write(p []byte) error
	// limitReads sets a deadline for all reads from now on, limitWrites for writes.
	limitReads(d time.Duration)
	limitWrites(d time.Duration)
	// ping sends a ping, and waits that long for something to arrive.
	ping(d time.Duration)
	// close closes the connection in the library's way.
	close(code int)
	// closeFor closes it by the adapter's.
	closeFor(reason instrument.CloseReason, code int)
}

// An adapter serves a request: it accepts it and defers closing the connection, as its documentation tells.
type adapter func(w http.ResponseWriter, r *http.Request, o *instrument.Observer, behave func(conn))

// aware are the adapters for WebSockets that the application uses.
func aware() map[string]adapter {
	return map[string]adapter{"coder": serveCoder, "gorilla": serveGorilla, "gobwas": serveGobwas}
}

// webSockets are all that observe WebSockets.
func webSockets() map[string]adapter {
	all := aware()
	all[handler] = serveHandler
	return all
}

// handler is the name of what observes code that knows of no observer.
const handler = "handler"

type coderConn struct {
	*coder.Conn
	reading, writing context.Context
	cancels          []context.CancelFunc
}

func serveCoder(w http.ResponseWriter, r *http.Request, o *instrument.Observer, behave func(conn)) {
	c, err := coder.Accept(w, r, o, &websocket.AcceptOptions{CompressionMode: websocket.CompressionNoContextTakeover})
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(readLimit)
	ctx := c.Observed().Context(r.Context())
	served := &coderConn{Conn: c, reading: ctx, writing: ctx}
	behave(served)
	for _, cancel := range served.cancels {
		defer cancel()
	}
}

func (c *coderConn) countMessages() { c.CountMessages(nil) }

func (c *coderConn) read() error {
	_, _, err := c.Read(c.reading)
	return err
}

func (c *coderConn) write(p []byte) error { return c.Write(c.writing, websocket.MessageBinary, p) }

func (c *coderConn) limitReads(d time.Duration) {
	var cancel context.CancelFunc
	c.reading, cancel = context.WithTimeout(context.WithoutCancel(c.reading), d)
	c.cancels = append(c.cancels, cancel)
}

func (c *coderConn) limitWrites(d time.Duration) {
	var cancel context.CancelFunc
	c.writing, cancel = context.WithTimeout(c.writing, d)
	c.cancels = append(c.cancels, cancel)
}

func (c *coderConn) ping(d time.Duration) {
	ctx := c.CloseRead(c.reading)
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	_ = c.Ping(ctx)
}

func (c *coderConn) close(code int) { _ = c.Close(websocket.StatusCode(code), "") }

func (c *coderConn) closeFor(reason instrument.CloseReason, code int) {
	_ = c.CloseFor(reason, websocket.StatusCode(code), "")
}

type gorillaConn struct{ *gorilla.Conn }

func serveGorilla(w http.ResponseWriter, r *http.Request, o *instrument.Observer, behave func(conn)) {
	c, err := gorilla.Upgrade(w, r, o, &gorillaws.Upgrader{EnableCompression: true}, nil)
	if err != nil {
		return
	}
	defer c.Close()
	c.SetReadLimit(readLimit)
	behave(gorillaConn{c})
}

func (c gorillaConn) countMessages() { c.CountMessages(nil) }

func (c gorillaConn) read() error {
	_, _, err := c.ReadMessage()
	return err
}

func (c gorillaConn) write(p []byte) error { return c.WriteMessage(gorillaws.BinaryMessage, p) }

func (c gorillaConn) limitReads(d time.Duration) { _ = c.SetReadDeadline(time.Now().Add(d)) }

func (c gorillaConn) limitWrites(d time.Duration) { _ = c.SetWriteDeadline(time.Now().Add(d)) }

func (c gorillaConn) ping(d time.Duration) {
	_ = c.WriteControl(gorillaws.PingMessage, []byte("ping"), time.Now().Add(patience))
	c.limitReads(d)
	_ = c.read()
}

func (c gorillaConn) close(code int) {
	_ = c.WriteMessage(gorillaws.CloseMessage, gorillaws.FormatCloseMessage(code, ""))
	_ = c.read()
}

func (c gorillaConn) closeFor(reason instrument.CloseReason, code int) {
	_ = c.CloseFor(reason, code, "")
}

// A gobwasServer is a connection for gobwas/ws, by the adapter or as the handler's own code has it.
type gobwasServer interface {
	net.Conn
	Observed() *instrument.Conn
	CountMessages(classify func(ws.OpCode, int64) instrument.MessageType)
	CloseFor(reason instrument.CloseReason, code ws.StatusCode, text string) error
}

type gobwasConn struct {
	gobwasServer
	reader *wsutil.Reader
}

func newGobwasConn(c gobwasServer) gobwasConn {
	return gobwasConn{c, &wsutil.Reader{
		Source: c, State: ws.StateServerSide | ws.StateExtended, Extensions: []wsutil.RecvExtension{new(wsflate.MessageState)},
		MaxFrameSize: readLimit,
	}}
}

func serveGobwas(w http.ResponseWriter, r *http.Request, o *instrument.Observer, behave func(conn)) {
	extension := wsflate.Extension{Parameters: wsflate.DefaultParameters}
	c, _, err := gobwas.UpgradeHTTP(r, w, ws.HTTPUpgrader{Negotiate: extension.Negotiate}, o)
	if err != nil {
		return
	}
	defer c.Close()
	behave(newGobwasConn(c))
}

// unawareConn is a connection of code that knows of no observer.
type unawareConn struct{ net.Conn }

func (unawareConn) Observed() *instrument.Conn { return nil }

func (unawareConn) CountMessages(func(ws.OpCode, int64) instrument.MessageType) {}

func (unawareConn) CloseFor(instrument.CloseReason, ws.StatusCode, string) error { return nil }

// serveHandler serves a request by code that knows of no observer, behind the handler. It leaves the connection of a
// panic to the handler.
func serveHandler(w http.ResponseWriter, r *http.Request, o *instrument.Observer, behave func(conn)) {
	observed.Handler(o, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		extension := wsflate.Extension{Parameters: wsflate.DefaultParameters}
		c, _, _, err := ws.HTTPUpgrader{Negotiate: extension.Negotiate}.Upgrade(r, w)
		if err != nil {
			return
		}
		behave(newGobwasConn(unawareConn{c}))
		_ = c.Close()
	})).ServeHTTP(w, r)
}

func (c gobwasConn) countMessages() { c.CountMessages(nil) }

func (c gobwasConn) read() error {
	err := c.next()
	switch {
	case errors.Is(err, wsutil.ErrFrameTooLarge):
		c.sendClose(ws.StatusMessageTooBig)
	case errors.As(err, new(ws.ProtocolError)), errors.Is(err, wsflate.ErrUnexpectedCompressionBit):
		c.sendClose(ws.StatusProtocolError)
	}
	return err
}

func (c gobwasConn) next() error {
	for {
		header, err := c.reader.NextFrame()
		if err != nil {
			return err
		}
		if !header.OpCode.IsControl() {
			return c.reader.Discard()
		}
		if err := wsutil.ControlFrameHandler(c, ws.StateServerSide)(header, c.reader); err != nil {
			return err
		}
	}
}

func (c gobwasConn) sendClose(code ws.StatusCode) {
	_ = ws.WriteFrame(c, ws.NewCloseFrame(ws.NewCloseFrameBody(code, "")))
}

func (c gobwasConn) write(p []byte) error { return wsutil.WriteServerBinary(c, p) }

func (c gobwasConn) limitReads(d time.Duration) { _ = c.SetReadDeadline(time.Now().Add(d)) }

func (c gobwasConn) limitWrites(d time.Duration) { _ = c.SetWriteDeadline(time.Now().Add(d)) }

func (c gobwasConn) ping(d time.Duration) {
	_ = ws.WriteFrame(c, ws.NewPingFrame([]byte("ping")))
	c.limitReads(d)
	_ = c.read()
}

func (c gobwasConn) close(code int) {
	c.sendClose(ws.StatusCode(code))
	_ = c.read()
}

func (c gobwasConn) closeFor(reason instrument.CloseReason, code int) {
	_ = c.CloseFor(reason, ws.StatusCode(code), "")
}
