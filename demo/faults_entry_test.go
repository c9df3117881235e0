package demo

import (
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	ws "github.com/sockscope/sockscope/demo/transport/websocket"
	"github.com/sockscope/sockscope/demo/wire"
)

// refusedWith returns the status that a handshake is refused with.
func (f *fixture) refusedWith(name string) int {
	f.t.Helper()
	conn, resp, err := websocket.Dial(f.t.Context(), f.http.URL+"/ws", &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + f.token(name)}},
	})
	if err == nil {
		_ = conn.CloseNow()
		f.t.Fatalf("%s is let in", name)
	}
	if resp == nil {
		f.t.Fatalf("%s gets no answer: %v", name, err)
	}
	return resp.StatusCode
}

func TestHandshakeErrors(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	f.turnOn("handshake_errors", 1, "1m")
	if code := f.refusedWith("Ada"); code != http.StatusInternalServerError {
		t.Errorf("status %d, want 500", code)
	}
	f.turnOff("handshake_errors")
	f.dial("Ada").alive()
	f.awaitMetrics(map[string]float64{"connections_total connected": 1, "connections_total error": 1, "errors_total handshake": 1},
		"websocket_connections_total", "websocket_errors_total")
}

func TestConnectionLimitReached(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	for _, name := range []string{"Ada", "Ben", "Eve"} {
		defer f.dial(name).alive() // who is there stays
	}
	f.turnOn("connection_limit", 2, "1m")
	if code := f.refusedWith("late"); code != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", code)
	}
	f.turnOff("connection_limit")
	f.dial("late").alive()
	f.awaitMetrics(map[string]float64{
		"active_connections": 4, "connections_total connected": 4, "connections_total over_capacity": 1, "connection_limit": 60_000,
	}, "websocket_active_connections", "websocket_connections_total", "websocket_connection_limit", "websocket_disconnections_total")
}

func TestRefusedTokens(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	c := f.dial("Ada")
	f.turnOn("refused_tokens", 1, "1m")
	if code := f.refusedWith("Ben"); code != http.StatusUnauthorized {
		t.Errorf("status %d, want 401", code)
	}
	c.send(wire.TypeAuth, wire.AuthPayload{Token: f.token("Ada")})
	if _, ack := expect[wire.AckPayload](c, wire.TypeAck); ack.Success || ack.Error != wire.CodeUnauthorized {
		t.Errorf("a renewal is answered by %+v, want a refusal", ack)
	}
	c.alive()
	f.turnOff("refused_tokens")
	c.send(wire.TypeAuth, wire.AuthPayload{Token: f.token("Ada")})
	if _, ack := expect[wire.AckPayload](c, wire.TypeAck); !ack.Success {
		t.Errorf("a renewal after healing is answered by %+v", ack)
	}
	f.dial("Ben").alive()
	f.awaitMetrics(map[string]float64{"connections_total connected": 2, "connections_total unauthorized": 1, "errors_total auth": 2},
		"websocket_connections_total", "websocket_errors_total", "websocket_disconnections_total")
}

func TestTokenExpiry(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	held := f.dial("Ada")
	f.turnOn("token_expiry", 1, "1m")
	presented := f.dial("Ben")
	wall := f.fault("token_expiry").Began.Add(time.Second)
	for _, c := range []*client{held, presented} {
		if _, p := expect[wire.TokenExpiringPayload](c, wire.TypeTokenExpiring); !p.Expires.Equal(wall) {
			t.Errorf("is warned of an end at %v, want %v", p.Expires, wall)
		}
		if err := c.ended(); websocket.CloseStatus(err) != ws.CodeTokenExpired {
			t.Errorf("ended by %v, want %d", err, ws.CodeTokenExpired)
		}
	}
	if time.Now().Before(wall) {
		t.Error("ended before the tokens expired")
	}
	f.dial("Eve").alive() // with a token of her own time
	f.awaitMetrics(map[string]float64{"active_connections": 1, "disconnections_total local token_expired": 2},
		"websocket_active_connections", "websocket_disconnections_total", "websocket_errors_total")
}

// TestTokenExpiryOfRenewed has a client renew its token just before the end.
func TestTokenExpiryOfRenewed(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	renews := f.dial("Ada")
	f.turnOn("token_expiry", 1, "1m")
	wall := f.fault("token_expiry").Began.Add(time.Second)
	token := f.token("Ada")
	<-time.After(time.Until(wall.Add(-50 * time.Millisecond)))
	renews.send(wire.TypeAuth, wire.AuthPayload{Token: token})
	if err := renews.ended(); websocket.CloseStatus(err) != ws.CodeTokenExpired {
		t.Errorf("ended by %v, want %d", err, ws.CodeTokenExpired)
	}
}

func TestTokenExpiryHeals(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	c := f.dial("Ada")
	expires := func() time.Time { return f.chat.sessions.All()[0].Expires() }
	// It is set after the welcome.
	f.eventually(func() bool { return !expires().IsZero() }, func() string { return "the token never expires" })
	before := expires()
	f.turnOn("token_expiry", 50, "1m")
	f.eventually(func() bool { return expires().Before(before) }, func() string { return "the token keeps its time" })
	f.turnOff("token_expiry")
	f.eventually(func() bool { return expires().Equal(before) }, func() string { return "the token does not get its time back" })
	c.alive()
}
