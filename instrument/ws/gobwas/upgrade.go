package gobwas

import (
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/frames"
	"github.com/sockscope/sockscope/instrument/internal/handshake"
	"github.com/sockscope/sockscope/instrument/internal/wsconn"
)

// UpgradeHTTP upgrades the request as u.Upgrade does, with the same answer to a request that it refuses, and observes the
// handshake: a refused one is counted with its status, logged, and its connection closed; a successful one becomes an
// open connection, which counts until the returned Conn is closed. Bytes that the peer has sent too early, which
// u.Upgrade returns in a bufio.ReadWriter, are the first that the Conn reads.
//
// If the application has begun a handshake with Observer.BeginHandshake, for example to authenticate the peer within
// it, and r's context carries it, UpgradeHTTP continues that handshake.
func UpgradeHTTP(r *http.Request, w http.ResponseWriter, u ws.HTTPUpgrader, o *instrument.Observer) (*Conn, ws.Handshake, error) {
	_, h := handshake.Begin(o, r, handshake.WebSocket)
	defer func() { handshake.Panicked(h, recover()) }()
	conn, rw, hs, err := u.Upgrade(r, w)
	if err != nil {
		if conn != nil {
			_ = conn.Close()
		}
		refuse(h, o, err)
		return nil, hs, err
	}
	early, err := rw.Peek(rw.Reader.Buffered())
	if err != nil {
		handshake.Failed(err).End(h)
		return nil, hs, errors.Join(err, conn.Close())
	}
	return open(conn, hs, h, early), hs, nil
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
	defer func() { handshake.Panicked(r.handshake, recover()) }()
	hs, err := u.Upgrade(r)
	switch {
	case err == nil:
		return open(conn, hs, r.begin(), nil), hs, nil
	case len(r.head) == 0:
	case !r.answered:
		handshake.Gone(err).End(r.begin())
	default:
		refuse(r.begin(), o, err)
	}
	return nil, hs, err
}

func open(conn net.Conn, hs ws.Handshake, h *instrument.Handshake, early []byte) *Conn {
	observed := wsconn.New(conn)
	observed.Begin(wsconn.Config{
		Observed:   h.Opened(http.StatusSwitchingProtocols),
		Extensions: extensions(hs.Extensions),
		EndOnClose: true,
	}, early)
	c := &Conn{transport: observed, conn: observed}
	c.Observed().OnDrain(func() { _ = c.CloseFor(instrument.ReasonShutdown, ws.StatusGoingAway, "") })
	return c
}

// extensions returns what is known of the extensions that were negotiated.
func extensions(options []httphead.Option) frames.Extensions {
	names := make([]string, 0, len(options))
	for _, o := range options {
		names = append(names, string(o.Name))
	}
	return frames.ParseExtensions(names)
}

// refuse ends a handshake for the error of u.Upgrade, which decides about the answer, too.
func refuse(h *instrument.Handshake, o *instrument.Observer, err error) {
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		handshake.Gone(err).End(h)
		return
	}
	code := http.StatusInternalServerError
	if rejected, ok := err.(*ws.ConnectionRejectedError); ok && rejected.StatusCode() != 0 { //nolint:errorlint // as ws does
		code = rejected.StatusCode()
	}
	handshake.Answered(o, code, err).End(h)
}
