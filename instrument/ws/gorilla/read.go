package gorilla

import (
	"context"
	"encoding/json"
	"io"

	"github.com/sockscope/sockscope/instrument"
)

// ReadMessage reads a message; see websocket.Conn.ReadMessage. If it fails, the connection has ended, and the error
// says how.
func (c *Conn) ReadMessage() (kind int, p []byte, err error) {
	c.endReading()
	kind, p, err = c.Conn.ReadMessage()
	switch {
	case err != nil:
		c.readFailed()
	case c.counting:
		c.counter.Received(c.typeOf(kind, p), len(p))
	}
	return kind, p, err
}

// NextReader returns a reader of the next message; see websocket.Conn.NextReader. The message is counted when it has
// been read to its end. If NextReader or the reader fails, the connection has ended. The reader costs one small
// allocation more than the transport's.
func (c *Conn) NextReader() (kind int, r io.Reader, err error) {
	m, err := c.nextReader()
	if err != nil {
		return -1, nil, err
	}
	return m.kind, m, nil
}

func (c *Conn) nextReader() (*messageReader, error) {
	c.endReading()
	kind, r, err := c.Conn.NextReader()
	if err != nil {
		c.readFailed()
		return nil, err
	}
	c.reading = &messageReader{c: c, r: r, kind: kind}
	return c.reading, nil
}

// ReadJSON reads a message and decodes it into v; see websocket.Conn.ReadJSON. A message that can't be decoded is
// counted as an error, and the connection goes on.
func (c *Conn) ReadJSON(v any) error {
	m, err := c.nextReader()
	if err != nil {
		return err
	}
	err = json.NewDecoder(m).Decode(v)
	if err == io.EOF { //nolint:errorlint // the decoder's own, not one of UnmarshalJSON
		err = io.ErrUnexpectedEOF // an empty message, as in the transport
	}
	if err != nil && !m.failed {
		c.Observed().Failed(context.Background(), instrument.ErrorDecode, err)
	}
	m.end() // the decoder stops where the value does
	return err
}

// endReading counts a message that the application has not read to its end.
func (c *Conn) endReading() {
	if c.reading != nil {
		c.reading.end()
		c.reading = nil
	}
}

// messageReader reads one message and counts it.
type messageReader struct {
	c      *Conn
	r      io.Reader
	kind   int
	typ    instrument.MessageType
	size   int
	begun  bool // typ is known
	ended  bool // read to the end, failed, or left for the next one
	failed bool
}

func (m *messageReader) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if m.ended {
		return n, err // tells only that
	}
	m.read(p[:n])
	switch err {
	case nil:
	case io.EOF:
		m.end()
	default:
		m.ended, m.failed = true, true
		m.c.readFailed()
	}
	return n, err
}

func (m *messageReader) read(p []byte) {
	m.size += len(p)
	if !m.begun && len(p) > 0 {
		m.begun, m.typ = true, m.c.typeOf(m.kind, p)
	}
}

// end counts the message, unless it was counted before.
func (m *messageReader) end() {
	if m.ended {
		return
	}
	m.ended = true
	if !m.c.counting {
		return
	}
	if !m.begun {
		m.typ = m.c.typeOf(m.kind, nil)
	}
	m.c.counter.Received(m.typ, m.size)
}
