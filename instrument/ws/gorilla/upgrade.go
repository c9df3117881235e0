package gorilla

import (
	"net/http"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/frames"
	"github.com/sockscope/sockscope/instrument/internal/handshake"
	"github.com/sockscope/sockscope/instrument/internal/wsconn"
)

// Upgrade upgrades the request like u.Upgrade, answers a refused request in the same way, and observes the handshake. A
// refused handshake is counted with its status and logged. A successful one becomes an open connection, which counts
// until the returned Conn has ended. If the peer is gone before it could be answered, that is a bad handshake with the
// HTTP status 0. Upgrade does not change the Upgrader, and calls its Error as usual. A nil Upgrader means the zero
// Upgrader. A nil Observer leaves the connection unobserved.
//
// If the application has begun a handshake with Observer.BeginHandshake, for example to authenticate the peer within
// it, and r's context carries it, Upgrade continues that handshake.
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

// httpError answers like an Upgrader without Error.
func httpError(w http.ResponseWriter, _ *http.Request, status int, _ error) {
	w.Header().Set("Sec-Websocket-Version", "13")
	http.Error(w, http.StatusText(status), status)
}
