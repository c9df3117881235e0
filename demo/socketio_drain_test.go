package demo

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/demo/wire"
)

// TestSocketIODrain drains the server under clients of each transport, in a namespace and not: each is told and gets
// what was said before, and clients that come later are sent elsewhere.
func TestSocketIODrain(t *testing.T) {
	t.Parallel()
	f := start(t, Config{DrainSpread: 100 * time.Millisecond, Limits: Limits{Handshake: time.Minute}})
	var told sync.WaitGroup
	for _, over := range transports {
		ada := f.io(over, "Ada")
		ada.join("lobby")
		lobby := f.openIO(over)
		told.Go(func() {
			ada.await(wire.TypeGoingAway)
			if err := ada.ended(); err == nil || over == overWebSocket && websocket.CloseStatus(err) != websocket.StatusServiceRestart {
				t.Errorf("over %s: ended by %v", over, err)
			}
		})
		told.Go(func() {
			if err := lobby.ended(); err == nil {
				t.Errorf("over %s: a client without a namespace stays", over)
			}
		})
	}
	began := time.Now()
	f.shutdown()
	told.Wait()
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the drain took %v", took)
	}
	if status, _, err := (&ioClient{t: t, f: f}).do(t.Context(), http.MethodGet, ""); err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("a client that comes later: %d, %v, want 503", status, err)
	}
	f.awaitMetrics(map[string]float64{
		"socketio_disconnections_total local shutdown": 2, "socketio_connections_total connected": 2, "socketio_connections_total draining": 1,
	}, "socketio_disconnections_total", "socketio_connections_total", "socketio_active_connections", "demo_socketio_clients")
}

// TestSocketIODrainWhileUpgrading drains the server between the probe of a client and its upgrade: it is told all the
// same.
func TestSocketIODrainWhileUpgrading(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	ada := f.io(overPolling, "Ada")
	conn := ada.dial()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte("2probe")); err != nil {
		t.Fatal(err)
	}
	if _, data, err := conn.Read(t.Context()); err != nil || string(data) != "3probe" {
		t.Fatalf("the probe is answered %q, %v", data, err)
	}
	var drained sync.WaitGroup
	drained.Go(f.shutdown)
	f.eventually(f.chat.sessions.Draining, func() string { return "the server does not drain" })
	if err := conn.Write(t.Context(), websocket.MessageText, []byte("5")); err != nil {
		t.Fatal(err)
	}
	ada.socket = conn
	ada.await(wire.TypeGoingAway)
	if err := ada.ended(); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		t.Errorf("ended by %v, want 1012", err)
	}
	drained.Wait()
}
