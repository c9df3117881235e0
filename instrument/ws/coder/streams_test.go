package coder_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
	"github.com/sockscope/sockscope/instrument/ws/coder"
)

// TestStreams reads and writes messages in pieces, also empty ones and beyond their ends, and compares the counts.
func TestStreams(t *testing.T) {
	texts := []string{"", "t", strings.Repeat("text ", 2000)}
	for name, counting := range map[string]bool{"counted by the adapter": true, "by the application": false} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(ctx context.Context, o *instrument.Observer, c *coder.Conn) {
				defer c.CloseNow()
				if counting {
					text := o.MessageType("text")
					c.CountMessages(func(kind websocket.MessageType, piece []byte) instrument.MessageType {
						if kind != websocket.MessageText || len(piece) > 0 && !bytes.HasPrefix(piece, []byte("t")) {
							t.Errorf("the first piece of a message of kind %v is %q", kind, piece)
						}
						return text
					})
				}
				for range texts {
					echoStream(ctx, t, c)
				}
				_ = readToEnd(ctx, c)
			})
			c := dial(t, s.URL)
			for _, text := range texts {
				if err := c.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
					t.Fatal(err)
				}
				if _, p, err := c.Read(t.Context()); err != nil || string(p) != text {
					t.Fatalf("read %d bytes, %v, want %d", len(p), err, len(text))
				}
			}
			if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Fatal(err)
			}
			want := map[string]float64{
				`websocket_connections_total{status="connected"}`:                    1,
				`websocket_handshake_duration_seconds_count{status="connected"}`:     1,
				`websocket_connection_duration_seconds_count{reason="normal"}`:       1,
				`websocket_disconnections_total{initiator="remote",reason="normal"}`: 1,
			}
			if counting {
				for _, direction := range []string{"receive", "transmit"} {
					want[`websocket_messages_total{direction="`+direction+`",type="text"}`] = 3
					want[`websocket_message_size_bytes_count{direction="`+direction+`"}`] = 3
					want[`websocket_message_size_bytes_sum{direction="`+direction+`"}`] = 10_001
				}
			}
			s.ExpectOnly(want)
		})
	}
}

// echoStream echoes a message in pieces, and reads and writes beyond its end.
func echoStream(ctx context.Context, t *testing.T, c *coder.Conn) {
	t.Helper()
	kind, r, err := c.Reader(ctx)
	if err != nil {
		t.Errorf("reader: %v", err)
		return
	}
	w, err := c.Writer(ctx, kind)
	if err != nil {
		t.Errorf("writer: %v", err)
		return
	}
	if _, err := io.CopyBuffer(w, r, make([]byte, 100)); err != nil {
		t.Errorf("copy: %v", err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read %d bytes, %v beyond the end, want io.EOF", n, err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := w.Close(); err == nil {
		t.Error("a second Close succeeded")
	}
	if _, err := w.Write([]byte("more")); err == nil {
		t.Error("a write after Close succeeded")
	}
}

// TestCloseRead compares what CloseRead promises with what it does.
func TestCloseRead(t *testing.T) {
	s := serve(t, func(ctx context.Context, _ *instrument.Observer, c *coder.Conn) {
		defer c.CloseNow()
		reading := c.CloseRead(ctx)
		if again := c.CloseRead(context.Background()); again != reading {
			t.Error("a second CloseRead returned another context")
		}
		for range 3 {
			if err := c.Write(reading, websocket.MessageText, []byte("news")); err != nil {
				t.Errorf("write: %v", err)
			}
		}
		if err := c.Close(websocket.StatusGoingAway, ""); err != nil {
			t.Errorf("close: %v", err)
		}
		if reading.Err() == nil {
			t.Error("the context has not ended with the connection")
		}
	})
	c, news := dial(t, s.URL), 0
	for {
		_, _, err := c.Read(t.Context())
		if err == nil {
			news++
			continue
		}
		if websocket.CloseStatus(err) != websocket.StatusGoingAway || news != 3 {
			t.Errorf("%d messages and then %v, want 3 and close code 1001", news, err)
		}
		break
	}
	s.ExpectOnly(map[string]float64{
		`websocket_connections_total{status="connected"}`:                       1,
		`websocket_handshake_duration_seconds_count{status="connected"}`:        1,
		`websocket_connection_duration_seconds_count{reason="going_away"}`:      1,
		`websocket_disconnections_total{initiator="local",reason="going_away"}`: 1,
	})
}

// TestSubprotocol wants the negotiated one.
func TestSubprotocol(t *testing.T) {
	recorder := realtimetest.New(t)
	got := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := coder.Accept(w, r, recorder.Observer, &websocket.AcceptOptions{Subprotocols: []string{"chat.v2", "chat.v1"}})
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		defer c.CloseNow()
		got <- c.Subprotocol()
	}))
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	c, _, err := websocket.Dial(ctx, s.URL, &websocket.DialOptions{Subprotocols: []string{"chat.v1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if subprotocol := <-got; subprotocol != "chat.v1" {
		t.Errorf("subprotocol %q, want chat.v1", subprotocol)
	}
}
