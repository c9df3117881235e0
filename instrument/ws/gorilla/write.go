package gorilla

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"time"

	"github.com/gorilla/websocket"
)

// WriteMessage writes a message; see websocket.Conn.WriteMessage. A failed write is counted as an error. It is also the
// reason for the connection's end, unless a better one is found.
func (c *Conn) WriteMessage(kind int, data []byte) error {
	c.writing.flush()
	c.judge(kind)
	err := c.Conn.WriteMessage(kind, data)
	if err == nil && c.counts(kind) {
		c.counter.Sent(c.typeOf(kind, data), len(data))
	}
	return err
}

// WriteControl writes a control message; see websocket.Conn.WriteControl. Pings are timed until their pong is read.
func (c *Conn) WriteControl(kind int, data []byte, deadline time.Time) error {
	c.judge(kind)
	err := c.Conn.WriteControl(kind, data, deadline)
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		c.conn.WriteFailed(err) // perhaps before it reached the network, while it waited for a message that the peer does not take
	}
	return err
}

// WritePreparedMessage writes a prepared message; see websocket.Conn.WritePreparedMessage.
func (c *Conn) WritePreparedMessage(pm *websocket.PreparedMessage) error {
	err := c.Conn.WritePreparedMessage(pm)
	if err != nil || !c.counting {
		return err
	}
	if kind, data := contents(pm); isData(kind) {
		c.counter.Sent(c.typeOf(kind, data), len(data))
	}
	return nil
}

// WriteJSON writes a message with the JSON encoding of v; see websocket.Conn.WriteJSON.
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

// NextWriter returns a writer for the next message; see websocket.Conn.NextWriter. After CountMessages the message is
// counted when the writer is closed, which costs one small allocation.
func (c *Conn) NextWriter(kind int) (io.WriteCloser, error) {
	c.writing.flush()
	w, err := c.Conn.NextWriter(kind)
	if err != nil || !c.counts(kind) {
		return w, err
	}
	c.writing = &messageWriter{c: c, w: w, kind: kind}
	return c.writing, nil
}

// judge notes that the application sends a close frame. The library's own close frames do not come here.
func (c *Conn) judge(kind int) {
	if kind == websocket.CloseMessage {
		c.conn.Judged()
	}
}

// counts reports whether a message must be counted.
func (c *Conn) counts(kind int) bool { return c.counting && isData(kind) }

func isData(kind int) bool { return kind == websocket.TextMessage || kind == websocket.BinaryMessage }
