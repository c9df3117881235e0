package coder

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

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
			c.beginRead(t.Context())
			for range 2 { // write, ping
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

// values is a context of a kind that cannot be compared.
type values struct {
	context.Context //nolint:containedctx // it is one
	values          map[any]any
}

// TestReadingContext reads messages with the same context and with others, and looks which one a read under way has.
func TestReadingContext(t *testing.T) {
	c := &Conn{}
	first, cancel := context.WithDeadline(t.Context(), time.Now().Add(time.Hour))
	defer cancel()
	later, cancel := context.WithDeadline(t.Context(), time.Now().Add(2*time.Hour))
	defer cancel()
	for i, read := range []struct {
		ctx      context.Context //nolint:containedctx // of one read
		lifetime bool
	}{
		{first, false}, {first, true}, {later, false}, {first, false},
		{values{first, nil}, true}, {values{first, nil}, true}, {values{later, nil}, false}, {context.Background(), false},
	} {
		c.beginRead(read.ctx)
		want, _ := read.ctx.Deadline()
		if got, _ := c.readingContext().Deadline(); !got.Equal(want) {
			t.Errorf("read %d is under way until %v, want %v", i, got, want)
		}
		if got := c.reads.isLifetime(read.ctx); got != read.lifetime {
			t.Errorf("the deadline of read %d was there before: %v, want %v", i, got, read.lifetime)
		}
		c.reads.read(read.ctx)
		c.underway.Add(-1 - reading)
		if ctx := c.readingContext(); ctx != nil {
			t.Errorf("behind read %d, %v is under way", i, ctx)
		}
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
