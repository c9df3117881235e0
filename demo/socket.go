package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/gorilla"
)

// readBuffer is what a connection keeps for reading. Most messages fit, and larger ones are read in pieces.
const readBuffer = 512

// lingering is how long a peer gets to take note of why it is disconnected. It is nginx's default for the same.
const lingering = 5 * time.Second

// socket is a WebSocket and its session. It has one goroutine, which waits for what the peer sends.
type socket struct {
	*session
	conn     *gorilla.Conn
	encoding wire.Encoding
	compress int // frames from that size on; 0 for none

	pongs   sync.Mutex
	pongDue time.Time // zero while none is awaited
}

// serveSocket takes a connection through its handshake. It does not stay for the rest, so that what net/http needs for a
// request is freed.
func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	ctx, handshake := s.sockets.observer.BeginHandshake(r.Context(), instrument.HTTPRequest(r))
	release, who, refused := s.enter(ctx, r)
	if refused != nil {
		refused.write(w, handshake)
		return
	}
	upgrader := websocket.Upgrader{
		ReadBufferSize:    readBuffer,
		WriteBufferPool:   &s.writeBuffers,
		Subprotocols:      []string{wire.SubprotocolJSON, wire.SubprotocolMessagePack},
		EnableCompression: s.cfg.CompressAbove > 0,
		CheckOrigin:       func(*http.Request) bool { return true }, // enter has
	}
	conn, err := gorilla.Upgrade(holding{w, s.faults}, r.WithContext(ctx), s.sockets.observer, &upgrader, nil)
	if err != nil {
		release()
		return // answered, counted and logged
	}
	conn.SetReadLimit(wire.MaxFrameBytes)
	k := &socket{conn: conn, compress: s.cfg.CompressAbove}
	if conn.Subprotocol() == wire.SubprotocolMessagePack {
		k.encoding = wire.MessagePack
	}
	conn.SetPongHandler(k.pong)
	k.session = newSession(s, s.sockets, conn.Observed(), k)
	k.begin(who)
	go k.run(release)
}

// enter decides whether a request may become a connection, and whose. The identity is the zero value if the request
// carries no token.
func (s *Server) enter(ctx context.Context, r *http.Request) (release func(), who auth.Identity, _ *refusal) {
	if err := s.cfg.Origins.Check(r); err != nil {
		return nil, who, refuse(instrument.StatusForbidden, http.StatusForbidden, err.Error())
	}
	if refused := s.faults.refuse(); refused != nil {
		return nil, who, refused
	}
	who, err := s.authenticate(ctx, r)
	if err != nil {
		return nil, who, refuse(instrument.StatusUnauthorized, http.StatusUnauthorized, err.Error())
	}
	from, limit := clientAddress(r, s.cfg.Limits.TrustedProxies), s.faults.limit(s.cfg.Limits.Connections)
	release, refused := s.admission.admit(from, limit)
	return release, who, refused
}

// run reads until the connection ends.
func (k *socket) run(release func()) {
	defer release()
	ctx := k.seen.Context(context.Background())
	defer k.end(ctx)
	defer func() {
		if v := recover(); v != nil { // one connection's panic is not the others'; it has been counted by Close
			k.server.logger.ErrorContext(ctx, "panic", "error", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	defer k.conn.Close()
	for {
		kind, data, err := k.read()
		if err != nil {
			if errors.Is(err, websocket.ErrReadLimit) {
				k.linger()
			}
			return // counted and logged
		}
		if kind == websocket.TextMessage && !utf8.Valid(data) {
			k.refuseText(ctx, len(data))
			return
		}
		began := time.Now()
		k.receive(ctx, data, k.decoder(kind))
		k.excuse(time.Since(began))
	}
}

// read reads a message. The transport limits what comes over the wire; what a compressed message unpacks to is limited
// here.
func (k *socket) read() (kind int, data []byte, err error) {
	if k.compress == 0 {
		return k.conn.ReadMessage()
	}
	kind, r, err := k.conn.NextReader()
	if err != nil {
		return kind, nil, err
	}
	data, err = io.ReadAll(io.LimitReader(r, wire.MaxFrameBytes+1))
	if err == nil && len(data) > wire.MaxFrameBytes {
		err = websocket.ErrReadLimit
		k.seen.Failed(k.seen.Context(context.Background()), instrument.ErrorRead, err)
		k.close(instrument.ReasonMessageTooBig, websocket.CloseMessageTooBig, "")
	}
	return kind, data, err
}

// refuseText closes a connection with a text frame that is not UTF-8, as RFC 6455 demands (section 8.1).
func (k *socket) refuseText(ctx context.Context, size int) {
	k.server.received.Add(1)
	k.seen.Received(k.observed.other, size)
	k.seen.Failed(ctx, instrument.ErrorDecode, errors.New("a text frame is not UTF-8"))
	k.close(instrument.ReasonProtocolError, websocket.CloseInvalidFramePayloadData, "a text frame has to be UTF-8")
}

// linger lets the peer read the close frame that it was just sent. To close a connection with something unread resets it,
// which takes back what the peer has not read either.
func (k *socket) linger() {
	half, ok := k.conn.NetConn().(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = k.conn.NetConn().SetReadDeadline(time.Now().Add(lingering))
	_, _ = io.Copy(io.Discard, k.conn.NetConn()) // an error means that the peer has gone, or takes too long
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

func (k *socket) write(f *wire.Frame) (instrument.MessageType, int, error) {
	typ := k.observed.messageType(f.Type)
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
	k.conn.EnableWriteCompression(k.compress > 0 && len(data) >= k.compress)
	_ = k.conn.SetWriteDeadline(time.Now().Add(k.server.cfg.Limits.Write)) // it never fails
	return typ, len(data), k.conn.WritePreparedMessage(prepared.(*websocket.PreparedMessage))
}

// ping sends a ping, and ends the connection if the pong has not come by the time of the next one.
func (k *socket) ping() {
	deadline := time.Now().Add(k.server.cfg.Heartbeat)
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

func (k *socket) close(reason instrument.CloseReason, code int, text string) {
	_ = k.conn.CloseFor(reason, code, text) // an error means that it has ended meanwhile
}

func (k *socket) cut() { _ = k.conn.Close() }

// vanish ends what comes from the peer without a close frame.
func (k *socket) vanish() {
	if half, ok := k.conn.NetConn().(interface{ CloseRead() error }); ok && half.CloseRead() == nil {
		return
	}
	_ = k.conn.NetConn().Close() // without half-closing (TLS) all of it goes; an error means that it is gone
}
