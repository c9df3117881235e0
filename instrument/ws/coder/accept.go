package coder

import (
	"net"
	"net/http"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
)

// Accept upgrades the request as websocket.Accept does, with the same options and the same answer to a request that it
// refuses, and observes the handshake: a refused one is counted with its status and logged, a successful one becomes an
// open connection, which counts until the returned Conn has ended.
//
// If r's context carries a handshake that the application has begun with Observer.BeginHandshake, in order to authenticate
// the peer within it, Accept carries on with that one.
func Accept(w http.ResponseWriter, r *http.Request, o *instrument.Observer, opts *websocket.AcceptOptions) (*Conn, error) {
	h := o.HandshakeFromContext(r.Context())
	if h == nil {
		_, h = o.BeginHandshake(r.Context(), instrument.HTTPRequest(r))
	}
	answer := &answerRecorder{ResponseWriter: w}
	ws, err := websocket.Accept(answer.writer(), r, opts)
	if err != nil {
		status, code := answer.refusal()
		h.Refused(status, code, err)
		return nil, err
	}
	return &Conn{ws: ws, observer: o, session: h.Opened(http.StatusSwitchingProtocols)}, nil
}

func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}

// answerRecorder remembers the status of the answer. Everything else about the ResponseWriter, such as how to hijack it,
// is found by Unwrap.
type answerRecorder struct {
	http.ResponseWriter
	status int
}

func (a *answerRecorder) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap is how http.ResponseController and websocket.Accept find the connection.
func (a *answerRecorder) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// writer returns the ResponseWriter for websocket.Accept. Gin's writer sends nothing before WriteHeaderNow, a method that
// Unwrap does not bring to light.
func (a *answerRecorder) writer() http.ResponseWriter {
	if g, ok := a.ResponseWriter.(headerNower); ok {
		return ginRecorder{a, g}
	}
	return a
}

type headerNower interface{ WriteHeaderNow() }

type ginRecorder struct {
	*answerRecorder
	headerNower
}

// refusal classifies a handshake by the answer that websocket.Accept has given.
func (a *answerRecorder) refusal() (instrument.Status, int) {
	switch {
	case a.status == http.StatusForbidden: // the origin
		return instrument.StatusForbidden, a.status
	case a.status >= http.StatusBadRequest && a.status < http.StatusInternalServerError:
		return instrument.StatusBadHandshake, a.status
	case a.status >= http.StatusInternalServerError:
		return instrument.StatusError, a.status
	default: // 101 was written, but the connection could not be hijacked
		return instrument.StatusError, http.StatusInternalServerError
	}
}
