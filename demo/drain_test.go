package demo

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/demo/wire"
)

// TestDrain begins the drain while a message is being handled: it has to be
// finished, answered and delivered before the connection ends.
func TestDrain(t *testing.T) {
	f := start(t, Config{})
	c := f.dial("Ada")
	c.join("lobby")
	f.turnOn("slow_handling", 5_000, "1m")
	c.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "just in time"})
	f.eventually(func() bool {
		return f.metrics("websocket_messages_total")["messages_total receive message"] == 1
	}, func() string { return "the message does not arrive" })

	begin := time.Now()
	var drained sync.WaitGroup
	drained.Go(func() { f.shutdown() })
	expect[wire.GoingAwayPayload](c, wire.TypeGoingAway)
	expect[wire.AckPayload](c, wire.TypeAck)
	expect[wire.MessagePayload](c, wire.TypeMessage)
	if err := c.ended(); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		t.Errorf("ended by %v, want 1012", err)
	}
	drained.Wait()
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("the drain took %v: the fault held it up", took)
	}

	if code, _ := f.do(http.MethodGet, "/readyz", ""); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz: %d, want 503", code)
	}
	if code, _ := f.do(http.MethodGet, "/healthz", ""); code != http.StatusOK {
		t.Errorf("/healthz: %d, want 200", code)
	}
	if _, resp, err := websocket.Dial(t.Context(), f.http.URL+"/ws", nil); err == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a handshake while draining: %v (%v), want 503", resp, err)
	}
	f.awaitMetrics(map[string]float64{
		"connections_total connected":         1,
		"connections_total draining":          1,
		"disconnections_total local shutdown": 1,
		"draining":                            1,
	}, "websocket_connections_total", "websocket_disconnections_total", "websocket_active_connections", "websocket_draining", "websocket_messages_dropped_total")
}

func TestReadyUntilDrain(t *testing.T) {
	f := start(t, Config{})
	if code, body := f.do(http.MethodGet, "/readyz", ""); code != http.StatusOK || body != "ready\n" {
		t.Errorf("/readyz: %d %s, want 200", code, body)
	}
}

// TestDrainDeadline has a client that reads nothing: its queue can't be
// written, and the drain must not wait for it longer than it may.
func TestDrainDeadline(t *testing.T) {
	f := start(t, Config{Limits: Limits{SendQueue: 10_000, MessagesPerSecond: 1e6}})
	stuck, quick := f.dial("stuck"), f.dial("quick")
	stuck.join("lobby")
	quick.join("lobby")
	text := strings.Repeat("x", wire.MaxTextBytes)
	// More than the kernel holds for a connection whose peer does not read.
	for range 500 {
		quick.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: text})
		expect[wire.AckPayload](quick, wire.TypeAck)
		expect[wire.MessagePayload](quick, wire.TypeMessage)
	}
	go func() { _ = quick.ended() }()

	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	begin := time.Now()
	err := f.chat.Shutdown(ctx)
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("the drain took %v, its deadline was 500ms", took)
	}
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "cut off 1 connection") {
		t.Errorf("shutdown: %v, want one connection cut off", err)
	}
	f.awaitMetrics(map[string]float64{"disconnections_total local shutdown": 2},
		"websocket_disconnections_total", "websocket_active_connections")
}
