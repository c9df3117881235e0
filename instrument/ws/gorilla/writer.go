package gorilla

import (
	"io"

	"github.com/sockscope/sockscope/instrument"
)

// maxControl is the largest payload of a control frame.
const maxControl = 125

// messageWriter writes one message and counts it.
type messageWriter struct {
	c       *Conn
	w       io.WriteCloser
	kind    int
	typ     instrument.MessageType
	size    int
	begun   bool   // typ is known
	control []byte // payload of a control frame
}

func (m *messageWriter) Write(p []byte) (int, error) {
	m.piece(p)
	n, err := m.w.Write(p)
	m.size += n
	m.c.written(err)
	return n, err
}

// WriteString spares io.WriteString a copy, as the transport's own writer does.
func (m *messageWriter) WriteString(s string) (int, error) {
	if first := !m.begun && m.c.classify != nil; first || !isData(m.kind) {
		return m.Write([]byte(s))
	}
	n, err := io.WriteString(m.w, s)
	m.size += n
	m.c.written(err)
	return n, err
}

// ReadFrom spares io.Copy a buffer, as the transport's own writer does.
func (m *messageWriter) ReadFrom(r io.Reader) (int64, error) {
	from, ok := m.w.(io.ReaderFrom)
	if !ok { // it compresses
		return io.Copy(struct{ io.Writer }{m}, r)
	}
	source := &source{m: m, r: r}
	n, err := from.ReadFrom(source)
	m.size += int(n)
	if source.err == nil {
		m.c.written(err)
	}
	return n, err
}

// piece takes note of what the first piece of a message tells, and of all of a control frame.
func (m *messageWriter) piece(p []byte) {
	switch {
	case !isData(m.kind):
		m.control = append(m.control, p[:min(len(p), maxControl-len(m.control))]...)
	case !m.begun && len(p) > 0:
		m.begun, m.typ = true, m.c.typeOf(m.kind, p)
	}
}

func (m *messageWriter) Close() error {
	c := m.c
	if c.writing != m { // closed before
		return m.w.Close()
	}
	c.writing = nil
	f := c.begin(m.kind, m.control)
	err := m.w.Close()
	c.finish(f, err)
	if err == nil && c.counts(m.kind) {
		if !m.begun {
			m.typ = c.typeOf(m.kind, nil)
		}
		c.session.Sent(m.typ, m.size)
	}
	return err
}

// flush closes a writer that the application has left open, as the transport does when the next message begins.
func (m *messageWriter) flush() {
	if m != nil {
		_ = m.Close()
	}
}

// A source shows what the transport takes from the application's reader, whose errors are none of the connection.
type source struct {
	m   *messageWriter
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.m.piece(p[:n])
	if err != io.EOF {
		s.err = err
	}
	return n, err
}
