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

// UpgradeHTTP upgrades the request like u.Upgrade, answers a refused request in the same way, and observes the
// handshake. A refused handshake is counted with its status and logged, and its connection is closed. A successful one
// becomes an open connection, which counts until the returned Conn is closed. If the peer has sent bytes too early,
// which u.Upgrade returns in a bufio.ReadWriter, the Conn reads them first.
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

// Upgrade upgrades the connection like u.Upgrade, without net/http, and observes the handshake like UpgradeHTTP, from
// when the whole request has arrived. If it refuses, the caller must close the connection. A connection on which
// nothing is received, such as a load balancer's health check, is not counted.
//
// The application refuses a handshake by an error from u's callbacks. The status of ws.RejectConnectionError decides
// how it is counted: 401 as unauthorized, 403 as forbidden, 429 as rate_limited, and 503 as over_capacity or, while o
// is draining, as draining.
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

// extensions returns the negotiated extensions, as far as package frames knows them.
func extensions(options []httphead.Option) frames.Extensions {
	names := make([]string, 0, len(options))
	for _, o := range options {
		names = append(names, string(o.Name))
	}
	return frames.ParseExtensions(names)
}

// refuse ends a handshake by the error of u.Upgrade, which also decides the answer.
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
