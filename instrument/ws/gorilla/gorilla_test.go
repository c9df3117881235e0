package gorilla_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/gorilla"
)

// TestCountMessages reads and writes in every way that the transport offers.
func TestCountMessages(t *testing.T) {
	type greeting struct{ Name string }
	s := serve(t, func(o *instrument.Observer, c *gorilla.Conn) {
		defer c.Close()
		text, binary, join := o.MessageType("text"), o.MessageType("binary"), o.MessageType("join")
		c.CountMessages(func(kind int, payload []byte) instrument.MessageType {
			switch {
			case bytes.HasPrefix(payload, []byte("{")):
				return join
			case kind == websocket.TextMessage:
				return text
			default:
				return binary
			}
		})
		if _, p, err := c.ReadMessage(); err != nil || string(p) != "hello" {
			t.Errorf("read %q, %v", p, err)
		}
		var g greeting
		if err := c.ReadJSON(&g); err != nil || g.Name != "anna" {
			t.Errorf("read %v, %v", g, err)
		}
		if _, r, err := c.NextReader(); err != nil {
			t.Error(err)
		} else if p, err := io.ReadAll(r); err != nil || len(p) != 5000 {
			t.Errorf("read %d bytes, %v", len(p), err)
		}
		if _, _, err := c.NextReader(); err != nil { // and leave it unread
			t.Error(err)
		}
		prepared, err := websocket.NewPreparedMessage(websocket.TextMessage, []byte("to all"))
		if err != nil {
			t.Error(err)
		}
		for _, err := range []error{
			c.WriteMessage(websocket.TextMessage, []byte("welcome")), c.WriteJSON(g), c.WritePreparedMessage(prepared),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		w, err := c.NextWriter(websocket.BinaryMessage)
		if err != nil {
			t.Error(err)
		}
		for range 3 {
			if _, err := w.Write(make([]byte, 2000)); err != nil {
				t.Error(err)
			}
		}
		if _, err := c.NextWriter(websocket.TextMessage); err != nil { // closes the other, and is closed by the next
			t.Error(err)
		}
		if err := c.WriteMessage(websocket.TextMessage, nil); err != nil {
			t.Error(err)
		}
		_ = readToEnd(c)
	})
	c := dial(t, s.URL)
	for _, err := range []error{
		c.WriteMessage(websocket.TextMessage, []byte("hello")),
		c.WriteJSON(greeting{"anna"}),
		c.WriteMessage(websocket.BinaryMessage, make([]byte, 5000)),
		c.WriteMessage(websocket.TextMessage, []byte("unread")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{7, 16, 6, 6000, 0, 0} {
		if _, p, err := c.ReadMessage(); err != nil || len(p) != want {
			t.Errorf("read %d bytes, %v, want %d", len(p), err, want)
		}
	}
	peerCloses(1000)(t, c, nil)
	s.ExpectOnly(map[string]float64{
		`websocket_connections_total{status="connected"}`:                    1,
		`websocket_handshake_duration_seconds_count{status="connected"}`:     1,
		`websocket_connection_duration_seconds_count{reason="normal"}`:       1,
		`websocket_disconnections_total{initiator="remote",reason="normal"}`: 1,
		`websocket_messages_total{direction="receive",type="text"}`:          2,
		`websocket_messages_total{direction="receive",type="join"}`:          1,
		`websocket_messages_total{direction="receive",type="binary"}`:        1,
		`websocket_messages_total{direction="transmit",type="text"}`:         4,
		`websocket_messages_total{direction="transmit",type="join"}`:         1,
		`websocket_messages_total{direction="transmit",type="binary"}`:       1,
		`websocket_message_size_bytes_count{direction="receive"}`:            4,
		`websocket_message_size_bytes_sum{direction="receive"}`:              5 + 16 + 5000,
		`websocket_message_size_bytes_count{direction="transmit"}`:           6,
		`websocket_message_size_bytes_sum{direction="transmit"}`:             7 + 16 + 6 + 6000,
	})
	closed := s.Record("connection closed")
	if closed["received_bytes"] != float64(5+16+5000) || closed["sent_bytes"] != float64(7+16+6+6000) {
		t.Errorf("bytes in record: %v received, %v sent", closed["received_bytes"], closed["sent_bytes"])
	}
}

// lost is a connection whose peer does not answer TCP's probes any more.
type lost struct{ net.Conn }

func (lost) Read([]byte) (int, error) {
	return 0, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ETIMEDOUT)}
}

type losing struct{ http.ResponseWriter }

func (w losing) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	rw.Reader.Reset(lost{c})
	return lost{c}, rw, err
}

// TestTimeoutOfTCP wants a timeout that is not the read deadline's to be the network's.
func TestTimeoutOfTCP(t *testing.T) {
	s := newServer(t, func(s *server, w http.ResponseWriter, r *http.Request) {
		c, err := gorilla.Upgrade(losing{w}, r, s.Observer, nil, nil)
		if err != nil {
			t.Error(err)
			return
		}
		readUntilEnd(s.Observer, c)
	})
	_ = readToEnd(dial(t, s.URL))
	s.ExpectOnly(map[string]float64{
		`websocket_connections_total{status="connected"}`:                       1,
		`websocket_handshake_duration_seconds_count{status="connected"}`:        1,
		`websocket_connection_duration_seconds_count{reason="abnormal"}`:        1,
		`websocket_disconnections_total{initiator="network",reason="abnormal"}`: 1,
		`websocket_errors_total{kind="read"}`:                                   1,
	})
}

// TestUnobserved uses the adapter without an observer, which leaves plain gorilla/websocket.
func TestUnobserved(t *testing.T) {
	s := newServer(t, func(_ *server, w http.ResponseWriter, r *http.Request) {
		c, err := gorilla.Upgrade(w, r, nil, nil, nil)
		if err != nil {
			t.Error(err)
			return
		}
		c.CountMessages(nil)
		_ = c.WriteControl(websocket.PingMessage, nil, time.Now().Add(deadline))
		readUntilEnd(nil, c)
	})
	peerCloses(1000)(t, dial(t, s.URL), nil)
}

// echoServer upgrades with the transport alone if there is no observer.
func echoServer(t testing.TB, o *instrument.Observer, echoes func(*gorilla.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if o == nil {
			c, err := new(websocket.Upgrader).Upgrade(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			echoesBare(c)
			return
		}
		c, err := gorilla.Upgrade(w, r, o, nil, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		echoes(c)
	}
}

// echoesBare echoes by the transport alone.
func echoesBare(c *websocket.Conn) {
	defer c.Close()
	for {
		kind, p, err := c.ReadMessage()
		if err != nil || c.WriteMessage(kind, p) != nil {
			return
		}
	}
}

// echoesCounted echoes with every message counted by the adapter.
func echoesCounted(c *gorilla.Conn) {
	c.CountMessages(nil)
	for {
		kind, p, err := c.ReadMessage()
		if err != nil || c.WriteMessage(kind, p) != nil {
			return
		}
	}
}

// echoesHandled echoes as the documentation tells.
func echoesHandled(c *gorilla.Conn) {
	connection := c.Observed()
	ctx := connection.Context(context.Background())
	for {
		kind, p, err := c.ReadMessage()
		if err != nil {
			return
		}
		_ = connection.Handle(ctx, instrument.MessageType{}, len(p), nil, func(context.Context) error {
			if err := c.WriteMessage(kind, p); err != nil {
				return err
			}
			connection.Sent(instrument.MessageType{}, len(p))
			return nil
		})
	}
}
