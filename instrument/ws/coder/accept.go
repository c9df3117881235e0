package coder

import (
	"net/http"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/frames"
	"github.com/sockscope/sockscope/instrument/internal/handshake"
	"github.com/sockscope/sockscope/instrument/internal/wsconn"
)

// Accept upgrades the request like websocket.Accept, with the same options and the same answer to a refused request,
// and observes the handshake. A refused handshake is counted with its status and logged. A successful one becomes an
// open connection, which counts until the returned Conn has ended. If the peer is gone before it could be answered,
// that is a bad handshake with the HTTP status 0.
//
// If the application has begun a handshake with Observer.BeginHandshake, for example to authenticate the peer within
// it, and r's context carries it, Accept continues that handshake.
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
