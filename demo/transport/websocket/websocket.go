// Package websocket is the demo's WebSockets: messages are frames, in JSON or, with that subprotocol, in MessagePack.
package websocket

import (
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/demo/admission"
	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/demo/session"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/gorilla"
)

// readBuffer is what a connection keeps for reading. Most messages fit, and larger ones are read in pieces.
const readBuffer = 512

// Config is what a Handler works with.
type Config struct {
	Gate     admission.Gate
	Sessions session.Opener
	Observer *observe.Observer

	PongTimeout   time.Duration // what a pong may take
	WriteTimeout  time.Duration // for what is written together; at most a quarter more
	CompressAbove int           // frames from that size on are compressed; 0 for none
}

// Handler serves WebSockets.
type Handler struct {
	cfg          Config
	writeBuffers sync.Pool // of the connections that are writing
	held         sync.Pool // of those that write several frames together
}

// New returns a handler for the path that WebSockets are to connect to.
func New(cfg Config) *Handler { return &Handler{cfg: cfg} }

// ServeHTTP takes a connection through its handshake. It does not stay for the rest, so that what net/http needs for a
// request is freed.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, handshake := h.cfg.Observer.BeginHandshake(r.Context(), instrument.HTTPRequest(r))
	release, who, refused := h.cfg.Gate.Enter(ctx, r)
	if refused != nil {
		refused.Answer(w, handshake)
		return
	}
	upgrader := websocket.Upgrader{
		ReadBufferSize:    readBuffer,
		WriteBufferPool:   &h.writeBuffers,
		Subprotocols:      []string{wire.SubprotocolJSON, wire.SubprotocolMessagePack},
		EnableCompression: h.cfg.CompressAbove > 0,
		CheckOrigin:       func(*http.Request) bool { return true }, // the gate has
	}
	answer := &answer{ResponseWriter: w}
	conn, err := gorilla.Upgrade(answer, r.WithContext(ctx), h.cfg.Observer.Observer, &upgrader, nil)
	if err != nil {
		release()
		return // answered, counted and logged
	}
	conn.SetReadLimit(wire.MaxFrameBytes)
	k := &socket{handler: h, conn: conn, out: answer.conn}
	if conn.Subprotocol() == wire.SubprotocolMessagePack {
		k.encoding = wire.MessagePack
	}
	conn.SetPongHandler(k.pong)
	k.session = h.cfg.Sessions.Open(h.cfg.Observer, conn.Observed(), k)
	k.session.Begin(who)
	go k.run(release)
}
