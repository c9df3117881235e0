package gobwas

import (
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/gobwas/ws"

	"github.com/sockscope/sockscope/instrument"
)

// UpgradeHTTP upgrades the request as u.Upgrade does, with the same answer to a request that it refuses, and observes the
// handshake: a refused one is counted with its status, logged, and its connection closed; a successful one becomes an
// open connection, which counts until the returned Conn is closed. Bytes that the peer has sent too early, which
// u.Upgrade returns in a bufio.ReadWriter, are the first that the Conn reads.
//
// If r's context carries a handshake that the application has begun with Observer.BeginHandshake, in order to authenticate
// the peer within it, UpgradeHTTP carries on with that one.
func UpgradeHTTP(r *http.Request, w http.ResponseWriter, u ws.HTTPUpgrader, o *instrument.Observer) (*Conn, ws.Handshake, error) {
	h := o.HandshakeFromContext(r.Context())
	if h == nil {
		_, h = o.BeginHandshake(r.Context(), instrument.HTTPRequest(r))
	}
	conn, rw, hs, err := u.Upgrade(r, w)
	if err != nil {
		if conn != nil {
			_ = conn.Close()
		}
		status, code := refusal(err, o)
		h.Refused(status, code, err)
		return nil, hs, err
	}
	c := open(conn, hs, h)
	c.early, _ = rw.Peek(rw.Reader.Buffered())
	return c, hs, nil
}

// Upgrade upgrades the connection as u.Upgrade does, without net/http, and observes the handshake as UpgradeHTTP does,
// from the moment when the whole request has come in. A connection that is refused is left to the caller, who closes it.
// One on which nothing is received, such as a load balancer's health check, is not counted.
//
// The application refuses a handshake by an error from u's callbacks; the status of ws.RejectConnectionError says what
// it is counted as: 401 is unauthorized, 403 forbidden, 429 rate_limited, and 503 over_capacity or, while o is draining,
// draining.
func Upgrade(conn net.Conn, u ws.Upgrader, o *instrument.Observer) (*Conn, ws.Handshake, error) {
	r := &request{Conn: conn, observer: o}
	hs, err := u.Upgrade(r)
	if err != nil {
		if len(r.head) > 0 {
			status, code := refusal(err, o)
			if !r.answered {
				status, code = instrument.StatusBadHandshake, 0
			}
			r.begin().Refused(status, code, err)
		}
		return nil, hs, err
	}
	return open(conn, hs, r.begin()), hs, nil
}

func open(conn net.Conn, hs ws.Handshake, h *instrument.Handshake) *Conn {
	c := &Conn{transport: conn, session: h.Opened(http.StatusSwitchingProtocols)}
	c.in.state, c.out.state = ws.StateServerSide, ws.StateClientSide
	if len(hs.Extensions) > 0 {
		c.in.state = c.in.state.Set(ws.StateExtended)
	}
	return c
}

// refusal classifies a handshake by the error of u.Upgrade, which decides about the answer, too.
func refusal(err error, o *instrument.Observer) (instrument.Status, int) {
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return instrument.StatusBadHandshake, 0 // the peer was gone before it could be answered
	}
	code := http.StatusInternalServerError
	if rejected, ok := err.(*ws.ConnectionRejectedError); ok && rejected.StatusCode() != 0 { //nolint:errorlint // as ws does
		code = rejected.StatusCode()
	}
	switch {
	case code == http.StatusUnauthorized:
		return instrument.StatusUnauthorized, code
	case code == http.StatusForbidden:
		return instrument.StatusForbidden, code
	case code == http.StatusTooManyRequests:
		return instrument.StatusRateLimited, code
	case code == http.StatusServiceUnavailable && o.Draining():
		return instrument.StatusDraining, code
	case code == http.StatusServiceUnavailable:
		return instrument.StatusOverCapacity, code
	case code < http.StatusInternalServerError, code == http.StatusHTTPVersionNotSupported:
		return instrument.StatusBadHandshake, code
	default:
		return instrument.StatusError, code
	}
}

func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}
