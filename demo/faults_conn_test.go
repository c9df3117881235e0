package demo

import (
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/demo/wire"
)

func TestHalfOpen(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Heartbeat: 200 * time.Millisecond})
	c := f.dial("Ada")
	c.join("lobby")
	f.turnOn("half_open", 1, "1m")
	c.send(wire.TypePing, nil) // unheard
	if env, err := c.read(); websocket.CloseStatus(err) != -1 || err == nil {
		t.Errorf("got %s, %v, want to be cut off", env.Type, err)
	}
	f.awaitMetrics(map[string]float64{"disconnections_total network ping_timeout": 1, "errors_total timeout": 1},
		"websocket_disconnections_total", "websocket_errors_total", "websocket_active_connections")
	timeouts := f.metrics("websocket_pings_total")["pings_total timeout"]
	if timeouts != 1 {
		t.Errorf("%v pings without a pong in time, want 1", timeouts)
	}
	f.turnOff("half_open")
	healed := f.dial("Ada")
	go func() { _ = healed.ended() }() // answers pings
	pongs := func() float64 { return f.metrics("websocket_pings_total")["pings_total pong"] }
	before := pongs()
	f.eventually(func() bool { return pongs() >= before+3 }, func() string { return "no pongs after healing" })
}

// TestHalfOpenHeals has the fault end before anybody has missed a pong: what was sent meanwhile arrives.
func TestHalfOpenHeals(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	c := f.dial("Ada")
	f.turnOn("half_open", 1, "1m")
	c.send(wire.TypePing, nil)
	if code, _ := f.do(http.MethodGet, "/healthz", ""); code != http.StatusOK {
		t.Errorf("/healthz: %d, want 200", code)
	}
	f.turnOff("half_open")
	expect[struct{}](c, wire.TypePong)
	c.alive()
}

func TestSlowConsumerFault(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Limits: Limits{SendQueue: 4}})
	c := f.dial("Ada")
	f.turnOn("slow_consumer", 1, "1m")
	for range 10 {
		c.send(wire.TypePing, nil)
	}
	f.awaitMetrics(map[string]float64{"disconnections_total local slow_consumer": 1},
		"websocket_disconnections_total", "websocket_errors_total", "websocket_active_connections")
	f.turnOff("slow_consumer")
	begin := time.Now()
	healed := f.dial("Ada")
	for range 10 { // would take 10 s
		healed.alive()
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("still slow after healing: %v", took)
	}
}
