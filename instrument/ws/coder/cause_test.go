package coder

import (
	"errors"
	"net"
	"testing"

	"github.com/sockscope/sockscope/instrument/realtimetest"
)

// TestEndIsLeftToTheWrite has a read fail because a write under way has made the transport close the connection: only
// the write knows why, whichever of the two returns first.
func TestEndIsLeftToTheWrite(t *testing.T) {
	read := func(c *Conn) { c.readFailed(t.Context(), net.ErrClosed) }
	write := func(c *Conn) {
		c.written(t.Context(), errors.New("timed out"))
		c.sent()
	}
	for name, order := range map[string][]func(*Conn){"read first": {read, write}, "write first": {write, read}} {
		t.Run(name, func(t *testing.T) {
			r := realtimetest.New(t)
			_, h := r.Observer.Handshake(t.Context(), nil, "")
			c := &Conn{observer: r.Observer, session: h.Opened(101)}
			c.sending.Add(1)
			for _, f := range order {
				f(c)
			}
			r.ExpectOnly(map[string]float64{
				`websocket_connections_total{status="connected"}`:                          1,
				`websocket_handshake_duration_seconds_count{status="connected"}`:           1,
				`websocket_errors_total{kind="write"}`:                                     1,
				`websocket_connection_duration_seconds_count{reason="write_error"}`:        1,
				`websocket_disconnections_total{initiator="network",reason="write_error"}`: 1,
			})
		})
	}
}
