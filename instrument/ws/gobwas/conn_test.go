package gobwas_test

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/gobwas"
)

// TestCloseForWithoutCode closes with a code that must not be on the wire.
func TestCloseForWithoutCode(t *testing.T) {
	s := newServer(t)
	s.serveHTTP(t, ws.HTTPUpgrader{}, func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
		if err := c.CloseFor(instrument.ReasonNormal, ws.StatusNoStatusRcvd, "not sent"); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	c := dial(t, s.url)
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNoStatusRcvd {
		t.Errorf("the peer read %v, want a close frame without a code", err)
	}
	s.ended(t, end{initiator: "local", reason: "normal", code: 1005})
}

// TestCloseFrameDoesNoHarm closes where a close frame would be taken for something else, and compares what the peer
// gets.
func TestCloseFrameDoesNoHarm(t *testing.T) {
	header := []byte{0x81, 20}
	tests := map[string]struct {
		written []byte
		fails   bool
	}{
		"within a header":       {header[:1], true},
		"within a frame":        {append(header, "letter by letter"...), true},
		"after another":         {ws.CompiledCloseGoingAway, false},
		"after a lost position": {[]byte{0x82, 127, 0xFF, 0, 0, 0, 0, 0, 0, 0}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.serveTCP(t, ws.Upgrader{}, func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
				_, _ = c.Write(tt.written)
				if err := c.CloseFor(instrument.ReasonPolicy, ws.StatusPolicyViolation, ""); (err != nil) != tt.fails {
					t.Errorf("close: %v, want an error: %v", err, tt.fails)
				}
			})
			conn := s.connect(t)
			if _, err := io.WriteString(conn, upgradeRequest); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			if _, got, _ := bytes.Cut(answer, []byte("\r\n\r\n")); !bytes.Equal(got, tt.written) {
				t.Errorf("the peer got % x, want % x", got, tt.written)
			}
		})
	}
}

// TestStrayContinuations has continuations that continue nothing counted by their own size.
func TestStrayContinuations(t *testing.T) {
	s := newServer(t)
	s.serveHTTP(t, ws.HTTPUpgrader{}, func(_ context.Context, _ *instrument.Observer, c *gobwas.Conn) {
		defer c.Close()
		c.CountMessages(nil)
		_, _ = io.Copy(io.Discard, c) // what does not look at headers does not refuse them
		if got := c.Observed().Stats().ReceivedBytes; got != 9 {
			t.Errorf("%d bytes counted, want 9", got)
		}
	})
	c := dial(t, s.url)
	c.send(t, ws.OpText, true, []byte("hello"))
	c.send(t, ws.OpContinuation, true, []byte("no"))
	c.send(t, ws.OpContinuation, true, []byte("no"))
	if err := c.tcp.Close(); err != nil {
		t.Fatal(err)
	}
	want := end{initiator: "network", reason: "abnormal", errors: map[string]float64{"read": 1}}.counts()
	want[`websocket_messages_total{direction="receive",type="other"}`] = 3
	want[`websocket_message_size_bytes_count{direction="receive"}`] = 3
	want[`websocket_message_size_bytes_sum{direction="receive"}`] = 9
	s.ExpectOnly(want)
}
