package demo

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/demo/wire"
)

// TestDrain begins the drain while a message is being handled: it has to be finished, answered and delivered before the
// connection ends.
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
	got := map[wire.Type]int{}
	for range 3 { // the drain ends the fault, too, so that the answer may come first
		env, err := c.read()
		if err != nil {
			t.Fatal(err)
		}
		got[env.Type]++
	}
	if want := map[wire.Type]int{wire.TypeGoingAway: 1, wire.TypeAck: 1, wire.TypeMessage: 1}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
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

// TestDrainDeadline has a client that reads nothing: its queue can't be written, and the drain must not wait for it
// longer than it may.
func TestDrainDeadline(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Limits: Limits{SendQueue: 10_000, MessagesPerSecond: 1e6, Write: time.Minute}})
	quick, stuck := f.dial("quick"), f.mustConnect(&websocket.DialOptions{
		HTTPHeader: bearer(f.token("stuck")),
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: dialSmall}},
	})
	expect[wire.WelcomePayload](stuck, wire.TypeWelcome)
	stuck.join("lobby")
	quick.join("lobby")
	text := strings.Repeat("x", wire.MaxTextBytes)
	// More than the kernel holds for a connection whose peer does not read.
	f.clog("websocket_send_queue_messages", func() {
		quick.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: text})
		await[wire.MessagePayload](quick, wire.TypeMessage)
	})
	go func() { _ = quick.ended() }()

	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	begin := time.Now()
	err := f.chat.Shutdown(ctx)
	if took := time.Since(begin); took > patience {
		t.Errorf("the drain took %v, its deadline was 500ms", took)
	}
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "cut off 1 connection") {
		t.Errorf("shutdown: %v, want one connection cut off", err)
	}
	f.awaitMetrics(map[string]float64{"disconnections_total local shutdown": 2},
		"websocket_disconnections_total", "websocket_active_connections")
}

// dialSmall makes connections for which the kernel takes little that is not read, now and later.
func dialSmall(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return conn, conn.(*net.TCPConn).SetReadBuffer(4 << 10)
}

// TestDrainSpreads closes connections one after the other: each is told when it is to come back, and not closed before.
func TestDrainSpreads(t *testing.T) {
	t.Parallel()
	const n, spread = 8, 600 * time.Millisecond
	f := start(t, Config{DrainSpread: spread})
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = f.dial("Ada")
	}
	var draining sync.WaitGroup
	draining.Go(f.shutdown)
	waits := map[int64]bool{}
	var closing sync.WaitGroup
	for _, c := range clients {
		_, p := expect[wire.GoingAwayPayload](c, wire.TypeGoingAway)
		if p.ReconnectAfterMS < 0 || p.ReconnectAfterMS >= spread.Milliseconds() || p.Reason == "" {
			t.Errorf("told %+v", p)
		}
		waits[p.ReconnectAfterMS] = true
		told, wait := time.Now(), time.Duration(p.ReconnectAfterMS)*time.Millisecond
		closing.Go(func() {
			err := c.ended()
			if websocket.CloseStatus(err) != websocket.StatusServiceRestart {
				t.Errorf("ended by %v, want 1012", err)
			}
			// Told a moment after the server has begun to wait, which no clock of the test's shows.
			if early := wait - time.Since(told); early > spread/2 {
				t.Errorf("closed %v too early", early)
			}
		})
	}
	if len(waits) < 2 {
		t.Errorf("all are told the same: %v", waits)
	}
	if code, body := f.do(http.MethodGet, "/readyz", ""); code != http.StatusServiceUnavailable || body != "draining\n" {
		t.Errorf("/readyz: %d %s, want 503", code, body)
	}
	closing.Wait()
	draining.Wait()
	f.awaitMetrics(map[string]float64{"disconnections_total local shutdown": n},
		"websocket_disconnections_total", "websocket_active_connections", "websocket_errors_total")
}

// TestDrainOfWhoLeaves does not wait for clients that have gone when they were told to.
func TestDrainOfWhoLeaves(t *testing.T) {
	t.Parallel()
	f := start(t, Config{DrainSpread: time.Hour})
	c := f.dial("Ada")
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		f.shutdown()
	}()
	expect[wire.GoingAwayPayload](c, wire.TypeGoingAway)
	if err := c.conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	<-drained
	f.awaitMetrics(map[string]float64{"disconnections_total remote normal": 1},
		"websocket_disconnections_total", "websocket_active_connections", "websocket_errors_total")
}

// TestConnectingWhileDraining has clients connect at full speed while the drain begins: each is let in and closed with
// 1012, or refused with 503, and none is left over.
func TestConnectingWhileDraining(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	token := f.token("Ada")
	var connecting sync.WaitGroup
	var in, refused atomic.Int64
	for range 4 {
		connecting.Go(func() {
			for {
				conn, resp, err := websocket.Dial(t.Context(), f.http.URL+"/ws", &websocket.DialOptions{HTTPHeader: bearer(token)})
				if err != nil {
					if resp == nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
						t.Errorf("refused by %v (%v), want 503 and when to try again", resp, err)
					}
					refused.Add(1)
					return
				}
				in.Add(1)
				connecting.Go(func() {
					c := &client{t: t, conn: conn}
					for err = nil; err == nil; {
						_, err = c.read()
					}
					if websocket.CloseStatus(err) != websocket.StatusServiceRestart {
						t.Errorf("ended by %v, want 1012", err)
					}
				})
			}
		})
	}
	f.eventually(func() bool { return in.Load() > 10 }, func() string { return "nobody gets in" })
	f.shutdown()
	connecting.Wait()
	f.awaitMetrics(map[string]float64{
		"connections_total connected":         float64(in.Load()),
		"connections_total draining":          float64(refused.Load()),
		"disconnections_total local shutdown": float64(in.Load()),
	}, "websocket_connections_total", "websocket_disconnections_total", "websocket_active_connections")
}
