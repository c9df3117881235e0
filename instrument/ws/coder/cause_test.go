package coder

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument/realtimetest"
)

// TestEndIsLeftToTheWrite has a read fail because a write under way has made the transport close the connection: only
// the write knows why, whatever returns first.
func TestEndIsLeftToTheWrite(t *testing.T) {
	const (
		read = iota
		write
		ping // which was cut off
		cut
		closed
	)
	for name, order := range map[string][]int{
		"read first":        {read, ping, write},
		"write first":       {write, ping, read},
		"ping first":        {ping, read, write},
		"ping last":         {read, write, ping},
		"the reader cuts":   {read, cut, ping, write},
		"the reader closes": {read, ping, closed, write},
		"cut by another":    {ping, write, cut, read},
	} {
		t.Run(name, func(t *testing.T) {
			r := realtimetest.New(t)
			c := accepted(t, r)
			expired, cancel := context.WithTimeout(t.Context(), 0)
			defer cancel()
			for range 3 { // read, write, ping
				c.begin()
			}
			for _, returned := range order {
				switch returned {
				case read:
					c.readFailed(t.Context(), net.ErrClosed)
				case write:
					c.endWrite(expired, expired.Err())
				case ping:
					c.leave()
				case cut:
					_ = c.CloseNow()
				case closed:
					_ = c.Close(websocket.StatusNormalClosure, "")
				}
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

// accepted returns a connection that the transport has closed.
func accepted(t *testing.T, r *realtimetest.Recorder) *Conn {
	t.Helper()
	conns := make(chan *Conn, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c, err := Accept(w, req, r.Observer, nil)
		if err != nil {
			t.Errorf("accept: %v", err)
		}
		conns <- c
	}))
	defer s.Close()
	peer, _, err := websocket.Dial(t.Context(), s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer peer.CloseNow()
	c := <-conns
	if err := c.ws.CloseNow(); err != nil {
		t.Error(err)
	}
	return c
}
