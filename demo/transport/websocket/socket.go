package websocket

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/demo/session"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/gorilla"
)

// CodeTokenExpired closes a connection whose token has ended. RFC 6455 leaves 4000 to 4999 to applications.
const CodeTokenExpired = 4401

// lingering is how long a peer gets to take note of why it is disconnected. It is nginx's default for the same.
const lingering = 5 * time.Second

// socket is a WebSocket, the link of its session. It has one goroutine, which waits for what the peer sends.
type socket struct {
	handler  *Handler
	session  *session.Session
	conn     *gorilla.Conn
	out      *conn // under conn
	encoding wire.Encoding
	deadline time.Time // of writes

	pongs   sync.Mutex
	pongDue time.Time // zero while none is awaited
}

// run reads until the connection ends.
func (k *socket) run(release func()) {
	defer release()
	ctx := k.conn.Observed().Context(context.Background())
	defer k.session.End(ctx)
	defer func() { _ = recover() }() // one connection's panic is not the others'; it has been counted and logged
	defer k.conn.Close()
	for {
		kind, data, err := k.read()
		if err != nil {
			if errors.Is(err, websocket.ErrReadLimit) {
				k.out.linger()
			}
			return // counted and logged
		}
		if kind == websocket.TextMessage && !utf8.Valid(data) {
			k.refuseText(ctx, len(data))
			return
		}
		began := time.Now()
		k.session.Receive(ctx, data, k.decoder(kind))
		k.excuse(time.Since(began))
	}
}

// read reads a message. The transport limits what comes over the wire; what a compressed message unpacks to is limited
// here.
func (k *socket) read() (kind int, data []byte, err error) {
	if k.handler.cfg.CompressAbove == 0 {
		return k.conn.ReadMessage()
	}
	kind, r, err := k.conn.NextReader()
	if err != nil {
		return kind, nil, err
	}
	data, err = io.ReadAll(io.LimitReader(r, wire.MaxFrameBytes+1))
	if err == nil && len(data) > wire.MaxFrameBytes {
		err = websocket.ErrReadLimit
		k.conn.Observed().Failed(k.conn.Observed().Context(context.Background()), instrument.ErrorRead, err)
		k.close(instrument.ReasonMessageTooBig, websocket.CloseMessageTooBig, "")
	}
	return kind, data, err
}

// refuseText closes a connection with a text frame that is not UTF-8, as RFC 6455 demands (section 8.1).
func (k *socket) refuseText(ctx context.Context, size int) {
	k.session.Unreadable(ctx, size, errors.New("a text frame is not UTF-8"))
	k.close(instrument.ReasonProtocolError, websocket.CloseInvalidFramePayloadData, "a text frame has to be UTF-8")
	k.out.linger()
}

// decoder returns what decodes a message, by what the peer has agreed to send.
func (k *socket) decoder(kind int) func([]byte) (wire.Envelope, error) {
	switch {
	case k.encoding == wire.JSON && kind == websocket.TextMessage:
		return wire.Decode
	case k.encoding == wire.MessagePack && kind == websocket.BinaryMessage:
		return wire.DecodeMessagePack
	}
	return func([]byte) (wire.Envelope, error) {
		return wire.Envelope{}, &wire.RefusalError{Code: wire.CodeWrongKind,
			Reason: "send text frames, or binary ones where the subprotocol is " + wire.SubprotocolMessagePack}
	}
}

// Write implements session.Link.
func (k *socket) Write(f *wire.Frame) (instrument.MessageType, int, error) {
	k.renewDeadline()
	return k.write(f)
}

// WriteAll implements session.Gatherer: it writes all frames by one system call.
func (k *socket) WriteAll(b session.Batch) {
	k.renewDeadline()
	h := k.handler.borrow()
	defer k.handler.giveBack(h)
	k.out.held = h
	defer func() { k.out.held = nil }()
	left := 0
	for i := range b {
		if b[i].Err == nil {
			left++
		}
	}
	var failed error
	b.WriteEach(func(f *wire.Frame) (instrument.MessageType, int, error) {
		left--
		h.last = left == 0
		typ, size, err := k.write(f)
		failed = err
		return typ, size, err
	})
	if failed != nil {
		b.Fail(h.whole, failed)
	}
}

func (k *socket) write(f *wire.Frame) (instrument.MessageType, int, error) {
	typ := k.handler.cfg.Observer.TypeOf(f.Type)
	kind := websocket.TextMessage
	if k.encoding == wire.MessagePack {
		kind = websocket.BinaryMessage
	}
	data, prepared, err := f.Encode(k.encoding, func(data []byte) (any, error) {
		return websocket.NewPreparedMessage(kind, slices.Clip(data))
	})
	if err != nil {
		return typ, 0, err
	}
	k.conn.EnableWriteCompression(k.handler.cfg.CompressAbove > 0 && len(data) >= k.handler.cfg.CompressAbove)
	return typ, len(data), k.conn.WritePreparedMessage(prepared.(*websocket.PreparedMessage))
}

// renewDeadline gives a write at least its time. Most writes find that the one before has done so.
func (k *socket) renewDeadline() {
	timeout := k.handler.cfg.WriteTimeout
	if now := time.Now(); k.deadline.Sub(now) < timeout {
		k.deadline = now.Add(timeout + timeout/4)
		_ = k.conn.SetWriteDeadline(k.deadline) // it never fails
	}
}

// Ping implements session.Link: it sends a ping, and ends the connection if the pong has not come by the time of the
// next one.
func (k *socket) Ping() {
	deadline := time.Now().Add(k.handler.cfg.PongTimeout)
	if !k.awaitPong(deadline) {
		return // the deadline of the one before is passing
	}
	_ = k.conn.WriteControl(websocket.PingMessage, nil, deadline) // an error is counted, and reading will fail
}

func (k *socket) awaitPong(deadline time.Time) bool {
	k.pongs.Lock()
	defer k.pongs.Unlock()
	if !k.pongDue.IsZero() {
		return false
	}
	k.pongDue = deadline
	_ = k.conn.SetReadDeadline(deadline) // an error means that the connection has ended
	return true
}

func (k *socket) pong(string) error {
	k.pongs.Lock()
	defer k.pongs.Unlock()
	k.pongDue = time.Time{}
	return k.conn.SetReadDeadline(time.Time{})
}

// excuse gives a pong that is awaited as much more time as nobody has read, because a message was handled: it may have
// come meanwhile.
func (k *socket) excuse(busy time.Duration) {
	k.pongs.Lock()
	defer k.pongs.Unlock()
	if k.pongDue.IsZero() {
		return
	}
	k.pongDue = k.pongDue.Add(busy)
	_ = k.conn.SetReadDeadline(k.pongDue) // an error means that the connection has ended
}

// Close implements session.Link.
func (k *socket) Close(reason instrument.CloseReason, text string) {
	k.close(reason, closeCode(reason), text)
}

// closeCode returns what a WebSocket is closed with for a reason of its session's.
func closeCode(reason instrument.CloseReason) int {
	switch reason {
	case instrument.ReasonShutdown:
		return websocket.CloseServiceRestart
	case instrument.ReasonIdleTimeout:
		return websocket.CloseGoingAway
	case instrument.ReasonTokenExpired:
		return CodeTokenExpired
	case instrument.ReasonInternal:
		return websocket.CloseInternalServerErr
	default: // the peer is at fault: it is too slow, sends too much, or no token
		return websocket.ClosePolicyViolation
	}
}

func (k *socket) close(reason instrument.CloseReason, code int, text string) {
	_ = k.conn.CloseFor(reason, code, text) // an error means that it has ended meanwhile
}

// Cut implements session.Link.
func (k *socket) Cut() { _ = k.conn.Close() }
