package coder_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument/realtimetest"
	"github.com/sockscope/sockscope/instrument/ws/coder"
)

// TestFieldCase04Leaving has many peers leave by a close frame while this side writes or pings: whatever returns first,
// it was the peer.
func TestFieldCase04Leaving(t *testing.T) {
	const peers, each = 10, 20
	for name, use := range map[string]func(context.Context, *coder.Conn) error{
		"write": func(ctx context.Context, c *coder.Conn) error {
			return c.Write(ctx, websocket.MessageText, []byte("tick"))
		},
		"ping": func(ctx context.Context, c *coder.Conn) error { return c.Ping(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			recorder := realtimetest.New(t)
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := coder.Accept(w, r, recorder.Observer, nil)
				if err != nil {
					t.Error(err)
					return
				}
				defer c.CloseNow()
				ctx := context.WithoutCancel(c.Observed().Context(r.Context()))
				c.CloseRead(ctx)
				tick := time.NewTicker(200 * time.Microsecond)
				defer tick.Stop()
				for use(ctx, c) == nil {
					<-tick.C
				}
			}))
			t.Cleanup(s.Close)
			var all sync.WaitGroup
			for range peers {
				all.Go(func() {
					for range each {
						leaveAfterTicks(t, s.URL)
					}
				})
			}
			all.Wait()
			recorder.Expect(map[string]float64{
				`websocket_disconnections_total{initiator="remote",reason="going_away"}`: peers * each,
				`websocket_disconnections_total{initiator="local",reason="abnormal"}`:    0,
				`websocket_disconnections_total{initiator="local",reason="normal"}`:      0,
				`websocket_errors_total{kind="write"}`:                                   0,
				`websocket_active_connections{}`:                                         0,
			})
		})
	}
}

// leaveAfterTicks reads for a moment, and leaves by 1001.
func leaveAfterTicks(t *testing.T, url string) {
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	c, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.CloseNow()
	leave := time.AfterFunc(2*time.Millisecond, func() { _ = c.Close(websocket.StatusGoingAway, "") })
	defer leave.Stop()
	for {
		if _, _, err := c.Read(ctx); err != nil {
			return
		}
	}
}

// TestFieldCase04Vanishing has peers vanish while the handler decides about them, which cancels the request's context.
// A peer that got its answer has gone away; one that could not be answered was never connected. Neither is ours.
func TestFieldCase04Vanishing(t *testing.T) {
	for name, tt := range map[string]struct {
		vanish func(*net.TCPConn) error
		want   map[string]float64
	}{
		"goes away": {(*net.TCPConn).Close, map[string]float64{
			`websocket_connections_total{status="connected"}`:                       1,
			`websocket_handshake_duration_seconds_count{status="connected"}`:        1,
			`websocket_connection_duration_seconds_count{reason="abnormal"}`:        1,
			`websocket_disconnections_total{initiator="network",reason="abnormal"}`: 1,
			`websocket_errors_total{kind="read"}`:                                   1,
		}},
		"resets": {func(c *net.TCPConn) error {
			if err := c.SetLinger(0); err != nil {
				return err
			}
			return c.Close()
		}, map[string]float64{
			`websocket_connections_total{status="bad_handshake"}`:                1,
			`websocket_handshake_duration_seconds_count{status="bad_handshake"}`: 1,
			`websocket_errors_total{kind="handshake"}`:                           1,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			recorder := realtimetest.New(t)
			arrived, returned := make(chan struct{}), make(chan struct{})
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(returned)
				close(arrived)
				<-r.Context().Done()
				c, err := coder.Accept(w, r, recorder.Observer, nil)
				if err != nil {
					return
				}
				defer c.CloseNow()
				_, _, _ = c.Read(c.Observed().Context(r.Context()))
			}))
			t.Cleanup(s.Close)
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header = http.Header{
				"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
				"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
			}
			to := bufio.NewWriter(conn)
			if err := request.Write(to); err != nil {
				t.Fatal(err)
			}
			if err := to.Flush(); err != nil {
				t.Fatal(err)
			}
			<-arrived
			if err := tt.vanish(conn.(*net.TCPConn)); err != nil {
				t.Fatal(err)
			}
			<-returned
			recorder.ExpectOnly(tt.want)
		})
	}
}
