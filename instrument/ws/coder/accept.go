package coder

import (
	"net/http"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/frames"
	"github.com/sockscope/sockscope/instrument/internal/handshake"
	"github.com/sockscope/sockscope/instrument/internal/wsconn"
)

// Accept upgrades the request as websocket.Accept does, with the same options and the same answer to a request that it
// refuses, and observes the handshake: a refused one is counted with its status and logged, a successful one becomes an
// open connection, which counts until the returned Conn has ended. A peer that is gone before it could be answered is a
// bad handshake with the HTTP status 0.
//
// If r's context carries a handshake that the application has begun with Observer.BeginHandshake, in order to authenticate
// the peer within it, Accept carries on with that one.
func Accept(w http.ResponseWriter, r *http.Request, o *instrument.Observer, opts *websocket.AcceptOptions) (*Conn, error) {
	_, h := handshake.Begin(o, r, handshake.WebSocket)
	defer func() { handshake.Panicked(h, recover()) }()
	answer, writer := wsconn.NewAnswer(w)
	ws, err := websocket.Accept(writer, r, opts)
	if err != nil {
		answer.Refuse(h, o, 0, err)
		return nil, err
	}
	c := &Conn{ws: ws, conn: answer.Begin(wsconn.Config{
		Observed:     h.Opened(http.StatusSwitchingProtocols),
		Extensions:   frames.ParseExtensions(w.Header().Values("Sec-WebSocket-Extensions")),
		WithoutPings: true,
	})}
	c.Observed().OnDrain(func() { _ = c.CloseFor(instrument.ReasonShutdown, websocket.StatusGoingAway, "") })
	return c, nil
}
