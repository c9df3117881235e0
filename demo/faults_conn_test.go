package demo

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/demo/fault"
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

// TestHold looks at each way in which a connection stops waiting.
func TestHold(t *testing.T) {
	s := &fault.Switch{Name: "held", Unit: "share", Min: 0.01, Max: 1}
	for name, tc := range map[string]struct {
		above     float64
		atMost    time.Duration
		strength  float64 // of the fault, which lasts for a minute
		meanwhile func(*heldConn)
		took      time.Duration
		err       error
	}{
		"off":          {0, time.Hour, 0, nil, 0, nil},
		"not this one": {0.5, time.Hour, 0.5, nil, 0, nil},
		"heals":        {0, time.Hour, 1, nil, time.Minute, nil},
		"turned off":   {0, time.Hour, 1, func(*heldConn) { s.TurnOff() }, 10 * time.Second, nil},
		"time is up":   {0, 20 * time.Second, 1, nil, 20 * time.Second, nil},
		"deadline": {0, time.Hour, 1, func(c *heldConn) {
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		}, 15 * time.Second, os.ErrDeadlineExceeded},
		"deadline passed": {0, time.Hour, 1, func(c *heldConn) {
			_ = c.SetDeadline(time.Now().Add(-time.Second))
		}, 10 * time.Second, os.ErrDeadlineExceeded},
		"deadline put off": {0, time.Hour, 1, func(c *heldConn) {
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			_ = c.SetDeadline(time.Time{})
		}, time.Minute, nil},
		"closed": {0, time.Hour, 1, func(c *heldConn) { _ = c.Close() }, 10 * time.Second, net.ErrClosed},
		"half closed": {0, time.Hour, 1, func(c *heldConn) {
			c.in.end(io.EOF)
			c.out.end(io.EOF)
		}, 10 * time.Second, io.EOF},
		"turned on anew": {0, time.Hour, 1, func(*heldConn) {
			if _, err := s.TurnOn(1, time.Minute); err != nil {
				t.Error(err)
			}
		}, 70 * time.Second, nil},
	} {
		for _, direction := range []string{"read", "write"} {
			t.Run(name+", "+direction, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					here, there := net.Pipe()
					defer there.Close()
					c := &heldConn{Conn: here}
					defer c.Close()
					for _, h := range []*hold{&c.in, &c.out} {
						h.fault, h.above, h.atMost = s, tc.above, tc.atMost
					}
					if tc.strength > 0 {
						if _, err := s.TurnOn(tc.strength, time.Minute); err != nil {
							t.Fatal(err)
						}
					}
					defer s.TurnOff()
					begin := time.Now()
					if tc.meanwhile != nil {
						time.AfterFunc(10*time.Second, func() { tc.meanwhile(c) })
					}
					do, peer := c.Read, there.Write
					if direction == "write" {
						do, peer = c.Write, there.Read
					}
					go func() { _, _ = peer(make([]byte, 1)) }()
					n, err := do(make([]byte, 1))
					took := time.Since(begin)
					if took != tc.took || !errors.Is(err, tc.err) || (n == 1) != (tc.err == nil) {
						t.Errorf("%d, %v after %v, want %v after %v", n, err, took, tc.err, tc.took)
					}
				})
			})
		}
	}
}

func TestCloseReadUnsupported(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	c := &heldConn{Conn: here}
	defer c.Close()
	if err := c.CloseRead(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("half of a pipe is closed: %v", err)
	}
}
