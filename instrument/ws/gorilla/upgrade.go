package gorilla

import (
	"net/http"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/frames"
	"github.com/sockscope/sockscope/instrument/internal/handshake"
	"github.com/sockscope/sockscope/instrument/internal/wsconn"
)

// Upgrade upgrades the request as u.Upgrade does, with the same answer to a request that it refuses, and observes the
// handshake: a refused one is counted with its status and logged, a successful one becomes an open connection, which
// counts until the returned Conn has ended. A peer that is gone before it could be answered is a bad handshake with the
// HTTP status 0. The Upgrader is not changed, and its Error is called as ever; nil is the
// zero Upgrader. A nil Observer leaves the connection unobserved.
//
// If r's context carries a handshake that the application has begun with Observer.BeginHandshake, in order to authenticate
// the peer within it, Upgrade carries on with that one.
func Upgrade(
	w http.ResponseWriter, r *http.Request, o *instrument.Observer, u *websocket.Upgrader, responseHeader http.Header,
) (*Conn, error) {
	_, h := handshake.Begin(o, r, handshake.WebSocket)
	defer func() { handshake.Panicked(h, recover()) }()
	var observed websocket.Upgrader
	if u != nil {
		observed = *u
	}
	refuse := observed.Error
	if refuse == nil {
		refuse = httpError
	}
	answered := 0
	observed.Error = func(_ http.ResponseWriter, r *http.Request, status int, reason error) {
		answered = status
		refuse(w, r, status, reason)
	}
	answer, writer := wsconn.NewAnswer(w)
	ws, err := observed.Upgrade(writer, r, responseHeader)
	if err != nil {
		answer.Refuse(h, o, answered, err)
		return nil, err
	}
	config := wsconn.Config{Observed: h.Opened(http.StatusSwitchingProtocols), RearmsWrites: true, GathersFrames: true}
	if observed.EnableCompression {
		config.Extensions = frames.Deflate
	}
	c := &Conn{Conn: ws, conn: answer.Begin(config)}
	c.Observed().OnDrain(func() { _ = c.CloseFor(instrument.ReasonShutdown, websocket.CloseGoingAway, "") })
	return c, nil
}

// httpError answers as an Upgrader does that has no Error.
func httpError(w http.ResponseWriter, _ *http.Request, status int, _ error) {
	w.Header().Set("Sec-Websocket-Version", "13")
	http.Error(w, http.StatusText(status), status)
}
