package demo

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/demo/wire"
)

func TestSlowHandling(t *testing.T) {
	f := start(t, Config{})
	c := f.dial("Ada")
	c.join("lobby")
	f.turnOn("slow_handling", 300, "1m")
	begin := time.Now()
	c.send(wire.TypePing, nil)
	expect[struct{}](c, wire.TypePong)
	if took := time.Since(begin); took < 300*time.Millisecond {
		t.Errorf("answered after %v, want 300ms or more", took)
	}
	if code, _ := f.do(http.MethodDelete, "/fault/slow_handling", ""); code != http.StatusOK {
		t.Fatalf("turn off: %d", code)
	}
	for range 20 { // would take 6 s
		c.send(wire.TypePing, nil)
		expect[struct{}](c, wire.TypePong)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("still slow after healing: %v", took)
	}
	f.awaitMetrics(map[string]float64{"message_duration_seconds join": 1, "message_duration_seconds ping": 21},
		"websocket_message_duration_seconds", "websocket_disconnections_total", "websocket_errors_total")
}

func TestMassDisconnect(t *testing.T) {
	f := start(t, Config{})
	const n = 10
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = f.dial(fmt.Sprintf("Ada-%d", i))
		clients[i].join("lobby")
		for _, before := range clients[:i] {
			expect[wire.PresencePayload](before, wire.TypeJoined)
		}
	}
	f.turnOn("mass_disconnect", 0.3, "1s")
	f.awaitMetrics(map[string]float64{"active_connections": n - 3, "disconnections_total network abnormal": 3, "errors_total read": 3},
		"websocket_active_connections", "websocket_disconnections_total", "websocket_errors_total")
	f.turnOn("mass_disconnect", 1, "1s")
	f.awaitMetrics(map[string]float64{"disconnections_total network abnormal": n, "errors_total read": n},
		"websocket_active_connections", "websocket_disconnections_total", "websocket_errors_total")
	for _, c := range clients {
		if err := c.ended(); websocket.CloseStatus(err) != -1 || !errors.Is(err, io.EOF) {
			t.Errorf("ended by %v, want an end without a close frame", err)
		}
	}
	f.eventually(func() bool { return !f.chat.faults.massDisconnect.On() }, func() string { return "does not heal" })
	f.dial("Ada").join("lobby")
}

func TestSilence(t *testing.T) {
	f := start(t, Config{Heartbeat: 300 * time.Millisecond})
	c := f.dial("Ada")
	c.join("lobby")
	f.turnOn("silence", 1, "1m")
	c.send(wire.TypePing, nil)
	heard := make(chan wire.Envelope, 1)
	go func() {
		env, err := c.read()
		if err != nil {
			t.Errorf("the connection did not survive the silence: %v", err)
		}
		heard <- env
	}()
	f.awaitMetrics(map[string]float64{"messages_dropped_total expired": 1, "active_connections": 1},
		"websocket_messages_dropped_total", "websocket_active_connections", "websocket_disconnections_total", "websocket_errors_total")
	pongs := func() float64 { return f.metrics("websocket_pings_total")["pings_total pong"] }
	before := pongs()
	f.eventually(func() bool { return pongs() >= before+3 }, func() string { return "pings are not answered in the silence" })

	if code, _ := f.do(http.MethodDelete, "/fault/silence", ""); code != http.StatusOK {
		t.Fatalf("turn off: %d", code)
	}
	// The first that is heard is the answer to what was asked after healing.
	id := c.send(wire.TypePing, nil)
	if env := <-heard; env.MessageID != id {
		t.Errorf("heard %s %s, want the answer to %s", env.Type, env.MessageID, id)
	}
}

func TestFaultAPIAccess(t *testing.T) {
	asked := func(f *fixture) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.http.URL+"/fault", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "elsewhere.example"
		resp, err := f.http.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if code := asked(start(t, Config{})); code != http.StatusForbidden {
		t.Errorf("by another name: %d, want 403", code)
	}
	if code := asked(start(t, Config{FaultAPI: Open})); code != http.StatusOK {
		t.Errorf("by another name, open: %d, want 200", code)
	}
	if code := asked(start(t, Config{FaultAPI: Off})); code != http.StatusNotFound {
		t.Errorf("off: %d, want 404", code)
	}
}
