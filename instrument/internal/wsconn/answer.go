package wsconn

import (
	"bufio"
	"net"
	"net/http"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/answer"
	"github.com/sockscope/sockscope/instrument/internal/handshake"
)

// An Answer follows a library's answer to a request. It hands out a Conn when the library hijacks the connection.
type Answer struct {
	writer *answer.Writer
	conn   *Conn
	early  []byte // received together with the request
}

// NewAnswer returns the Answer to a request and the ResponseWriter for the library, which writes to w.
func NewAnswer(w http.ResponseWriter) (*Answer, http.ResponseWriter) {
	a := &Answer{}
	a.writer, w = answer.NewWriter(w, a)
	return a, w
}

// Answering implements answer.Witness.
func (a *Answer) Answering(int) bool { return false }

// Hijacked implements answer.Witness.
func (a *Answer) Hijacked(conn net.Conn, rw *bufio.ReadWriter) (net.Conn, *bufio.ReadWriter) {
	a.conn, a.early = New(conn), answer.Buffered(rw)
	return a.conn, answer.Reset(rw, a.conn)
}

// Begin begins to observe the connection that the library has hijacked and upgraded.
func (a *Answer) Begin(config Config) *Conn {
	a.conn.BeginBehind(config, a.early)
	return a.conn
}

// Refuse ends a handshake that the library has refused with an error. The status is the one that the library has passed
// to an error handler, or 0.
func (a *Answer) Refuse(h *instrument.Handshake, o *instrument.Observer, status int, err error) {
	answered := a.writer.Status()
	if status == 0 && (a.conn == nil || answered != http.StatusSwitchingProtocols) {
		status = answered
	}
	switch {
	case a.writer.Gone() != nil, a.conn != nil && status == 0:
		handshake.Gone(err).End(h)
	case status == 0, status == http.StatusSwitchingProtocols: // it was written, but the connection could not be hijacked
		handshake.Answered(o, http.StatusInternalServerError, err).End(h)
	default:
		handshake.Answered(o, status, err).End(h)
	}
}
