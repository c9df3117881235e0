package gorilla

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/instrument"
)

// WriteMessage writes a message, see websocket.Conn.WriteMessage. A failed write is counted as an error and, unless
// there turns out to be a better reason, as the one for which the connection ends.
func (c *Conn) WriteMessage(kind int, data []byte) error {
	c.writing.flush()
	f := c.begin(kind, data)
	err := c.Conn.WriteMessage(kind, data)
	c.finish(f, err)
	if err == nil && c.counts(kind) {
		c.session.Sent(c.typeOf(kind, data), len(data))
	}
	return err
}

// WriteControl writes a control message, see websocket.Conn.WriteControl. Pings are timed until their pong is read.
func (c *Conn) WriteControl(kind int, data []byte, deadline time.Time) error {
	f := c.begin(kind, data)
	err := c.Conn.WriteControl(kind, data, deadline)
	c.finish(f, err)
	return err
}

// WritePreparedMessage writes a prepared message, see websocket.Conn.WritePreparedMessage.
func (c *Conn) WritePreparedMessage(pm *websocket.PreparedMessage) error {
	kind, data := contents(pm)
	f := c.begin(kind, data)
	err := c.Conn.WritePreparedMessage(pm)
	c.finish(f, err)
	if err == nil && c.counts(kind) {
		c.session.Sent(c.typeOf(kind, data), len(data))
	}
	return err
}

// WriteJSON writes a message with the JSON encoding of v, see websocket.Conn.WriteJSON.
func (c *Conn) WriteJSON(v any) error {
	w, err := c.NextWriter(websocket.TextMessage)
	if err != nil {
		return err
	}
	encoded := json.NewEncoder(w).Encode(v)
	if err := w.Close(); encoded == nil {
		return err
	}
	return encoded
}

// NextWriter returns a writer for the next message, see websocket.Conn.NextWriter. The message is counted when the
// writer has been closed. The writer costs one small allocation beyond those of the transport.
func (c *Conn) NextWriter(kind int) (io.WriteCloser, error) {
	c.writing.flush()
	w, err := c.Conn.NextWriter(kind)
	if err != nil {
		c.written(err)
		return nil, err
	}
	c.writing = &messageWriter{c: c, w: w, kind: kind}
	return c.writing, nil
}

// counts tells messages that are to be counted.
func (c *Conn) counts(kind int) bool { return c.counting && isData(kind) }

func isData(kind int) bool { return kind == websocket.TextMessage || kind == websocket.BinaryMessage }

// A frame is what there is to know about a frame while it is written: a pong or the end of the connection may be read
// before the write returns.
type frame struct {
	ping   instrument.Ping
	closes *instrument.Cause
}

func (c *Conn) begin(kind int, data []byte) frame {
	var f frame
	switch kind {
	case websocket.PingMessage:
		f.ping = c.pings.begin(c.session, data)
	case websocket.CloseMessage:
		f.closes = c.announce(closeCode(data))
	}
	return f
}

func (c *Conn) finish(f frame, err error) {
	if err != nil {
		c.pings.fail(f.ping)
		if f.closes != nil {
			c.announced.CompareAndSwap(f.closes, nil)
		}
	}
	c.written(err)
}

func (c *Conn) announce(code int) *instrument.Cause {
	cause := c.localCause(instrument.ReasonForCode(code), code)
	if !c.announced.CompareAndSwap(nil, &cause) {
		return nil
	}
	return &cause
}

// closeCode returns the code in the payload of a close frame.
func closeCode(payload []byte) int {
	if len(payload) < 2 {
		return websocket.CloseNoStatusReceived
	}
	return int(binary.BigEndian.Uint16(payload))
}

// written takes note of the result of a write. Only errors of the network are failures of writing: the transport's
// other errors tell that it was used wrongly, or that a close frame had been sent.
func (c *Conn) written(err error) {
	switch {
	case err == nil:
		if c.writeError.Load() != nil {
			c.writeError.Store(nil)
		}
	case c.ending.Load() != nil || errors.Is(err, net.ErrClosed) || !isNetworkError(err):
	default:
		c.writeFailed(err)
	}
}

// writeFailed counts a failed write once: the transport returns the error of the first to all later ones.
func (c *Conn) writeFailed(err error) {
	if last := c.writeError.Swap(&err); last == nil || !errors.Is(err, *last) {
		c.fail(instrument.ErrorWrite, err)
	}
}
