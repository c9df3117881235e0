package demo

import (
	"bufio"
	"net"
	"net/http"

	"github.com/coder/websocket"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/propagation"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/coder"
)

// retryAfter is the number of seconds after which a refused client may try
// again.
const retryAfter = "5"

// serveSocket takes a connection from its handshake to its end.
func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	ctx, handshake := s.observed.observer.Handshake(r.Context(), propagation.HeaderCarrier(r.Header), hostname(r.Host))
	name := r.URL.Query().Get("name")
	if name == "" {
		name = "guest-" + uuid.NewString()[:4]
	}
	if err := wire.CheckName(name); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		handshake.Refused(instrument.StatusBadHandshake, http.StatusBadRequest, err)
		return
	}
	release, status, err := s.admit()
	if err != nil {
		w.Header().Set("Retry-After", retryAfter)
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		handshake.Refused(status, http.StatusServiceUnavailable, err)
		return
	}
	defer release()

	socket := &hijacked{ResponseWriter: w}
	// Accept carries on with the handshake: it answers and counts what it
	// refuses. By default it lets pages of this host connect, and no others.
	conn, err := coder.Accept(socket, r.WithContext(ctx), s.observed.observer, &websocket.AcceptOptions{
		CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return
	}
	conn.Unwrap().SetReadLimit(wire.MaxFrameBytes)
	c := newSession(s, name, conn, socket.conn)
	s.add(c)
	defer s.remove(c)
	c.run(s.live)
}

func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}

// hijacked remembers the network connection beneath a WebSocket, for the fault
// that takes it away.
type hijacked struct {
	http.ResponseWriter
	conn net.Conn
}

// Hijack takes the connection over from the HTTP server.
func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	h.conn = conn
	return conn, rw, err
}
