package gorilla

import (
	"net"
	"net/http"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/instrument"
)

// Upgrade upgrades the request as u.Upgrade does, with the same answer to a request that it refuses, and observes the
// handshake: a refused one is counted with its status and logged, a successful one becomes an open connection, which
// counts until the returned Conn has ended. The Upgrader is not changed, and its Error is called as ever; nil is the
// zero Upgrader. A nil Observer leaves the connection unobserved.
//
// If r's context carries a handshake that the application has begun with Observer.BeginHandshake, in order to authenticate
// the peer within it, Upgrade carries on with that one.
func Upgrade(
	w http.ResponseWriter, r *http.Request, o *instrument.Observer, u *websocket.Upgrader, responseHeader http.Header,
) (*Conn, error) {
	h := o.HandshakeFromContext(r.Context())
	if h == nil {
		_, h = o.BeginHandshake(r.Context(), instrument.HTTPRequest(r))
	}
	var observed websocket.Upgrader
	if u != nil {
		observed = *u
	}
	refuse := observed.Error
	if refuse == nil {
		refuse = httpError
	}
	answered := 0
	observed.Error = func(w http.ResponseWriter, r *http.Request, status int, reason error) {
		answered = status
		refuse(w, r, status, reason)
	}
	ws, err := observed.Upgrade(w, r, responseHeader)
	if err != nil {
		h.Refused(refusal(answered, err), answered, err)
		return nil, err
	}
	return newConn(ws, h.Opened(http.StatusSwitchingProtocols)), nil
}

// httpError answers as an Upgrader does that has no Error.
func httpError(w http.ResponseWriter, _ *http.Request, status int, _ error) {
	w.Header().Set("Sec-Websocket-Version", "13")
	http.Error(w, http.StatusText(status), status)
}

// refusal classifies a handshake by the status that it was refused with, 0 if the connection was closed without an
// answer.
func refusal(status int, err error) instrument.Status {
	switch {
	case status == http.StatusForbidden: // the origin
		return instrument.StatusForbidden
	case status >= http.StatusInternalServerError, status == 0 && isNetworkError(err):
		return instrument.StatusError
	default:
		return instrument.StatusBadHandshake
	}
}

func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}
