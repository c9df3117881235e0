package coder

import (
	"context"
	"io"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
)

// Reader returns a reader of the next message; see websocket.Conn.Reader. After CountMessages the message is counted
// when it has been read to its end. If Reader or the reader fails, the connection has ended, and the error says how.
// The reader costs one small allocation more than the transport's.
func (c *Conn) Reader(ctx context.Context) (websocket.MessageType, io.Reader, error) {
	c.beginRead(ctx)
	typ, r, err := c.ws.Reader(ctx)
	if err != nil {
		c.readFailed(ctx, err)
		return typ, nil, err
	}
	c.leave()
	return typ, &messageReader{message: message{c: c, ctx: ctx, kind: typ}, r: r}, nil
}

// Writer returns a writer for the next message; see websocket.Conn.Writer. After CountMessages the message is counted
// when the writer is closed. A failed write counts like one of Write. The writer costs one small allocation more than
// the transport's.
func (c *Conn) Writer(ctx context.Context, typ websocket.MessageType) (io.WriteCloser, error) {
	c.begin()
	w, err := c.ws.Writer(ctx, typ)
	c.endWrite(ctx, err)
	if err != nil {
		return nil, err
	}
	return &messageWriter{message: message{c: c, ctx: ctx, kind: typ}, w: w}, nil
}

// A message is read or written in pieces.
type message struct {
	c     *Conn
	ctx   context.Context //nolint:containedctx // the transport's reader or writer is bound to it
	kind  websocket.MessageType
	typ   instrument.MessageType
	size  int
	begun bool // typ is known
	ended bool // a later error is the application's mistake, not the connection's
}

func (m *message) add(p []byte) {
	m.size += len(p)
	if len(p) > 0 {
		m.classify(p)
	}
}

func (m *message) classify(p []byte) {
	if !m.begun {
		m.begun, m.typ = true, m.c.typeOf(m.kind, p)
	}
}

// count counts a whole message by a method of the counter.
func (m *message) count(by func(instrument.MessageType, int)) {
	if m.c.counting {
		m.classify(nil) // an empty one
		by(m.typ, m.size)
	}
}

type messageReader struct {
	message
	r io.Reader
}

func (m *messageReader) Read(p []byte) (int, error) {
	if m.ended {
		return m.r.Read(p)
	}
	m.c.begin()
	n, err := m.r.Read(p)
	m.add(p[:n])
	switch err {
	case nil:
		m.c.leave()
	case io.EOF:
		m.ended = true
		m.c.wasRead(m.ctx)
		m.count(m.c.counter.Received)
	default:
		m.ended = true
		m.c.readFailed(m.ctx, err)
	}
	return n, err
}

type messageWriter struct {
	message
	w io.WriteCloser
}

func (m *messageWriter) Write(p []byte) (int, error) {
	if m.ended {
		return m.w.Write(p)
	}
	m.c.begin()
	m.add(p)
	n, err := m.w.Write(p)
	m.c.endWrite(m.ctx, err)
	return n, err
}

// Close sends the rest of the message.
func (m *messageWriter) Close() error {
	if m.ended {
		return m.w.Close()
	}
	m.ended = true
	m.c.begin()
	err := m.w.Close()
	m.c.endWrite(m.ctx, err)
	if err == nil {
		m.count(m.c.counter.Sent)
	}
	return err
}
