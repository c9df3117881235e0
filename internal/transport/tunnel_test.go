package transport

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/demo/wire"
)

// TestTunnel has a client of WebSockets use each transport: it says something, hears it, and learns how it ends.
func TestTunnel(t *testing.T) {
	t.Parallel()
	s := start(t, demo.Config{})
	each(t, sending(), func(t *testing.T, over Name) {
		conn := s.tunnel(t, over, s.options("ann", time.Hour).Authorization)
		room := "tunnel-" + over.String()
		if env := hear(t, conn, wire.TypeWelcome); payloadOf[wire.WelcomePayload](t, env).User != "ann" {
			t.Errorf("the welcome is %s", env.Payload)
		}
		say(t, conn, wire.TypeJoin, wire.JoinPayload{Room: room})
		hear(t, conn, wire.TypeAck)
		say(t, conn, wire.TypeMessage, wire.MessagePayload{Room: room, Text: "hello"})
		if m := hear(t, conn, wire.TypeMessage); m.Seq != 1 || payloadOf[wire.MessagePayload](t, m).Text != "hello" {
			t.Errorf("it hears %d %s", m.Seq, m.Payload)
		}
		if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Errorf("it ends with %v", err)
		}

		short := s.tunnel(t, over, s.options("ann", 2*time.Second).Authorization)
		hear(t, short, wire.TypeWelcome)
		for {
			if _, _, err := short.Read(t.Context()); err != nil {
				if code := websocket.CloseStatus(err); (code == codeTokenExpired) != (over != SSE) {
					t.Errorf("a token that ends closes it with %d: %v", code, err)
				}
				break
			}
		}
		_, response, err := s.dialTunnel(t, over, "Bearer x")
		if err == nil || response == nil || response.StatusCode != http.StatusUnauthorized {
			t.Errorf("without a token that holds: %v, %v", response, err)
		}
	})
}

func (s *service) dialTunnel(t *testing.T, over Name, authorization string) (*websocket.Conn, *http.Response, error) {
	return websocket.Dial(t.Context(), s.server.Socket(), &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: &Tunnel{Over: over, Server: s.server}},
		HTTPHeader: http.Header{"Authorization": {authorization}},
	})
}

func (s *service) tunnel(t *testing.T, over Name, authorization string) *websocket.Conn {
	t.Helper()
	conn, _, err := s.dialTunnel(t, over, authorization)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

func say(t *testing.T, conn *websocket.Conn, typ wire.Type, payload any) {
	t.Helper()
	f, err := wire.NewFrame(typ, "", payload)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Write(t.Context(), websocket.MessageText, f.Data); err != nil {
		t.Fatal(err)
	}
}

// hear returns the next message of a type.
func hear(t *testing.T, conn *websocket.Conn, typ wire.Type) (env wire.Envelope) {
	t.Helper()
	for env.Type != typ {
		_, data, err := conn.Read(t.Context())
		if err != nil {
			t.Fatalf("waiting for %s: %v", typ, err)
		}
		env = wire.Envelope{}
		if err := json.Unmarshal(data, &env); err != nil {
			t.Fatal(err)
		}
	}
	return env
}
