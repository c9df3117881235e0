package gorilla

import (
	"io"

	"github.com/sockscope/sockscope/instrument"
)

// messageWriter writes one message and counts it.
type messageWriter struct {
	c     *Conn
	w     io.WriteCloser
	kind  int
	typ   instrument.MessageType
	size  int
	begun bool // typ is known
}

func (m *messageWriter) Write(p []byte) (int, error) {
	m.piece(p)
	n, err := m.w.Write(p)
	m.size += n
	return n, err
}

// WriteString saves io.WriteString a copy, like the transport's own writer.
func (m *messageWriter) WriteString(s string) (int, error) {
	if !m.begun && m.c.classify != nil {
		return m.Write([]byte(s))
	}
	n, err := io.WriteString(m.w, s)
	m.size += n
	return n, err
}

// ReadFrom saves io.Copy a buffer, like the transport's own writer.
func (m *messageWriter) ReadFrom(r io.Reader) (int64, error) {
	from, ok := m.w.(io.ReaderFrom)
	if !ok { // it compresses
		return io.Copy(struct{ io.Writer }{m}, r)
	}
	n, err := from.ReadFrom(&source{m, r})
	m.size += int(n)
	return n, err
}

// piece classifies the message by its first piece.
func (m *messageWriter) piece(p []byte) {
	if !m.begun && len(p) > 0 {
		m.begun, m.typ = true, m.c.typeOf(m.kind, p)
	}
}

func (m *messageWriter) Close() error {
	c := m.c
	if c.writing != m { // closed before
		return m.w.Close()
	}
	c.writing = nil
	err := m.w.Close()
	if err == nil {
		if !m.begun {
			m.typ = c.typeOf(m.kind, nil)
		}
		c.counter.Sent(m.typ, m.size)
	}
	return err
}

// flush closes a writer that the application has left open, like the transport when the next message begins.
func (m *messageWriter) flush() {
	if m != nil {
		_ = m.Close()
	}
}

// A source shows the writer what the transport reads from the application's reader.
type source struct {
	m *messageWriter
	r io.Reader
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.m.piece(p[:n])
	return n, err
}
