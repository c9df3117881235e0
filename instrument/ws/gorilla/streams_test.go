package gorilla_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/gorilla"
)

// TestStreams writes and reads messages in pieces, by all the ways that the transport's writer has, plain and
// compressed.
func TestStreams(t *testing.T) {
	const size = 100_000 // many frames
	text := strings.Repeat("sockscope ", size/10)
	for name, compressed := range map[string]bool{"plain": false, "compressed": true} {
		t.Run(name, func(t *testing.T) {
			writes := map[string]func(io.Writer) error{
				"Write": func(w io.Writer) error { _, err := w.Write([]byte(text)); return err },
				"WriteString": func(w io.Writer) error {
					_, err := io.WriteString(w, text[:1])
					if err == nil {
						_, err = io.WriteString(w, text[1:])
					}
					return err
				},
				"ReadFrom": func(w io.Writer) error {
					_, err := io.Copy(w, iotest.OneByteReader(strings.NewReader(text)))
					return err
				},
			}
			s := serveStream(t, compressed, func(o *instrument.Observer, c *gorilla.Conn) {
				kind := o.MessageType("text")
				c.CountMessages(func(_ int, payload []byte) instrument.MessageType {
					if !bytes.HasPrefix(payload, []byte("s")) {
						t.Errorf("the first piece is %q", payload)
					}
					return kind
				})
				for name, write := range writes {
					w, err := c.NextWriter(websocket.TextMessage)
					if err != nil {
						t.Error(err)
						return
					}
					if err := write(w); err != nil {
						t.Errorf("%s: %v", name, err)
					}
					if err := w.Close(); err != nil {
						t.Errorf("%s: %v", name, err)
					}
					if err := w.Close(); err == nil {
						t.Errorf("%s: a second Close succeeded", name)
					}
				}
				readTwice(t, c)
			})
			c := dialWith(t, s.URL, websocket.Dialer{EnableCompression: true})
			for range writes {
				if _, p, err := c.ReadMessage(); err != nil || string(p) != text {
					t.Fatalf("read %d bytes, %v", len(p), err)
				}
			}
			for range 2 {
				if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			peerCloses(1000)(t, c, nil)
			s.ExpectOnly(map[string]float64{
				`websocket_connections_total{status="connected"}`:                    1,
				`websocket_handshake_duration_seconds_count{status="connected"}`:     1,
				`websocket_connection_duration_seconds_count{reason="normal"}`:       1,
				`websocket_disconnections_total{initiator="remote",reason="normal"}`: 1,
				`websocket_messages_total{direction="receive",type="text"}`:          2,
				`websocket_messages_total{direction="transmit",type="text"}`:         3,
				`websocket_message_size_bytes_count{direction="receive"}`:            2,
				`websocket_message_size_bytes_sum{direction="receive"}`:              2 * size,
				`websocket_message_size_bytes_count{direction="transmit"}`:           3,
				`websocket_message_size_bytes_sum{direction="transmit"}`:             3 * size,
			})
			closed := s.Record("connection closed")
			if closed["received_bytes"] != 2.*size || closed["sent_bytes"] != 3.*size {
				t.Errorf("bytes in record: %v received, %v sent", closed["received_bytes"], closed["sent_bytes"])
			}
		})
	}
}

// readTwice reads messages to their end and beyond, where a compressed one answers with an error, until the connection
// ends.
func readTwice(t *testing.T, c *gorilla.Conn) {
	defer c.Close()
	for {
		_, r, err := c.NextReader()
		if err != nil {
			return
		}
		if _, err := io.ReadAll(r); err != nil {
			t.Error(err)
		}
		if n, err := r.Read(make([]byte, 10)); n != 0 || err == nil {
			t.Errorf("read %d bytes, %v beyond the end", n, err)
		}
	}
}

func serveStream(t *testing.T, compressed bool, handle func(*instrument.Observer, *gorilla.Conn)) *server {
	t.Helper()
	return newServer(t, func(s *server, w http.ResponseWriter, r *http.Request) {
		c, err := gorilla.Upgrade(w, r, s.Observer, &websocket.Upgrader{EnableCompression: compressed}, nil)
		if err != nil {
			t.Error(err)
			return
		}
		handle(s.Observer, c)
	})
}

// TestMistakes wants what is the application's mistake, or only one message's, not to be the connection's end.
func TestMistakes(t *testing.T) {
	s := serve(t, func(_ *instrument.Observer, c *gorilla.Conn) {
		c.CountMessages(nil)
		var v struct{ Name string }
		for range 3 {
			if err := c.ReadJSON(&v); err == nil {
				t.Error("what is no JSON was decoded")
			}
		}
		if err := c.WriteMessage(3, []byte("no such type")); err == nil {
			t.Error("a message of no type was written")
		}
		if err := c.WriteJSON(func() {}); err == nil {
			t.Error("a function was encoded")
		}
		w, err := c.NextWriter(websocket.TextMessage)
		if err != nil {
			t.Error(err)
			return
		}
		ours := errors.New("of the application's reader")
		if _, err := io.Copy(w, iotest.ErrReader(ours)); !errors.Is(err, ours) {
			t.Errorf("copied with %v, want %v", err, ours)
		}
		_ = w.Close()
		readUntilEnd(nil, c)
	})
	c := dial(t, s.URL)
	for _, text := range []string{"", `{"Name":`, `{"Name":1}`} {
		if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	peerCloses(1000)(t, c, nil)
	s.ExpectOnly(map[string]float64{
		`websocket_connections_total{status="connected"}`:                    1,
		`websocket_handshake_duration_seconds_count{status="connected"}`:     1,
		`websocket_connection_duration_seconds_count{reason="normal"}`:       1,
		`websocket_disconnections_total{initiator="remote",reason="normal"}`: 1,
		`websocket_errors_total{kind="decode"}`:                              3,
		`websocket_messages_total{direction="receive",type="other"}`:         3,
		`websocket_message_size_bytes_count{direction="receive"}`:            3,
		`websocket_message_size_bytes_sum{direction="receive"}`:              8 + 10,
		`websocket_messages_total{direction="transmit",type="other"}`:        2, // both empty: the transport sends what was begun
		`websocket_message_size_bytes_count{direction="transmit"}`:           2,
	})
}
