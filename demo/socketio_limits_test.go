package demo

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/demo/transport/socketio"
	"github.com/sockscope/sockscope/demo/wire"
)

// TestSocketIOTokens brings tokens in each place where one can be, and such as open nothing.
func TestSocketIOTokens(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Limits: Limits{Connections: 3, Handshake: 500 * time.Millisecond}})
	c := f.openIO(overWebSocket)
	for said, want := range map[string]string{
		`{"token":"made up"}`: `"code":"unauthorized"`,
		`{"token":17}`:        `"code":"bad_handshake"`,
		`{"encoding":"xml"}`:  `"code":"bad_handshake"`,
	} {
		c.send("40" + said)
		if got, err := c.packet(); err != nil || !strings.HasPrefix(got, "44{") || !strings.Contains(got, want) {
			t.Errorf("%s: %s, %v, want %s", said, got, err, want)
		}
	}
	c.connect("", map[string]string{}) // without one, which comes later
	c.send(`421["join",{"payload":{"room":"lobby"}}]`)
	if ev, err := c.next(); err != nil || ev.id != 1 || payloadOf[wire.ErrorPayload](t, ev.env).Code != wire.CodeUnauthorized {
		t.Errorf("nobody joins: %+v, %v", ev, err)
	}
	if ack := c.ask(wire.TypeAuth, wire.AuthPayload{Token: f.token("Ada")}); !ack.Success {
		t.Errorf("auth: %+v", ack)
	}
	c.join("lobby")

	late := f.openIO(overPolling)
	late.connect("", map[string]string{})
	if err := late.ended(); !errors.Is(err, io.EOF) {
		t.Errorf("without a token: ended by %v", err)
	}
	short, err := f.tokens.Issue("Ben", nil, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	expires := f.openIO(overPolling)
	expires.connect("", map[string]string{"token": short})
	for text := ""; text != "41"; { // its namespace only
		if text, err = expires.packet(); err != nil {
			t.Fatalf("the token has expired: %v", err)
		}
	}
	expires.connect("", map[string]string{"token": f.token("Ben")})
	expires.join("lobby")

	f.openIO(overPolling)
	for name, tc := range map[string]struct {
		query  string
		header http.Header
		want   int
	}{
		"full":             {"EIO=4&transport=polling", nil, http.StatusServiceUnavailable},
		"a token in a URL": {"EIO=4&transport=polling&token=x", nil, http.StatusUnauthorized},
		"a bad token":      {"EIO=4&transport=polling", bearer("x"), http.StatusUnauthorized},
		"another page":     {"EIO=4&transport=polling", http.Header{"Origin": {"https://elsewhere.example"}}, http.StatusForbidden},
		"revision 3":       {"EIO=3&transport=polling", nil, http.StatusBadRequest},
		"no revision":      {"transport=polling", nil, http.StatusBadRequest},
		"no transport":     {"EIO=4", nil, http.StatusBadRequest},
		"no upgrade":       {"EIO=4&transport=websocket", nil, http.StatusBadRequest},
		"unknown session":  {"EIO=4&transport=polling&sid=x", nil, http.StatusNotFound},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.http.URL+"/socket.io/?"+tc.query, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = tc.header
		resp, err := f.http.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tc.want {
			t.Errorf("%s: %s, want %d", name, resp.Status, tc.want)
		}
	}
	if status, _, err := (&ioClient{t: t, f: f}).do(t.Context(), http.MethodPost, "40"); err != nil || status != http.StatusBadRequest {
		t.Errorf("a post without a session: %d, %v, want 400", status, err)
	}
	f.awaitMetrics(map[string]float64{
		"socketio_connections_total connected":     4,
		"socketio_connections_total unauthorized":  3,
		"socketio_connections_total forbidden":     1,
		"socketio_connections_total over_capacity": 1,
		"socketio_connections_total bad_handshake": 7,
	}, "socketio_connections_total")
}

// TestSocketIOMalformed says what no client of the protocol says: it is the only one that is disconnected.
func TestSocketIOMalformed(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	ben := f.io(overWebSocket, "Ben")
	ben.join("lobby")
	lies := [][]string{
		{"7"}, {"x"}, {"2"}, {"6"}, {"0{}"}, {"5"}, {"3probe"}, {"4"}, {"49"}, {"42"}, {"42{}"}, {`42["x"`}, {"40"}, {"40[]"},
		{"43[]"}, {"431[]"}, {`44{"message":"x"}`}, {`42/secret,["ping"]`}, {`451["ping"]`}, {`4511-["ping"]`}, {"bAQID"},
		{`451-["ping",{"_placeholder":true,"num":0}]`, `42["ping"]`}, {"42[\"\xff\"]"}, {`42` + strings.Repeat("[", 3000)},
	}
	for _, over := range transports {
		for _, lie := range lies {
			c := f.io(over, "Ada")
			_ = c.trySend(lie...) // the answer to a post says so, too
			if err := c.ended(); err == nil {
				t.Errorf("%q over %s harms nobody", lie, over)
			}
		}
	}
	n := float64(2 * len(lies))
	f.awaitMetrics(map[string]float64{
		"socketio_disconnections_total local protocol_error": n, "socketio_errors_total read": n, "socketio_active_connections": 1,
		"demo_socketio_clients websocket": 1,
	}, "socketio_disconnections_total", "socketio_errors_total", "socketio_active_connections", "demo_socketio_clients")
	ben.join("lobby")
}

// TestSocketIOLimits goes beyond each limit, by itself.
func TestSocketIOLimits(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", wire.MaxFrameBytes)
	for name, tc := range map[string]struct {
		cfg    Config
		over   string
		exceed func(*ioClient)
		want   string // the disconnection
	}{
		"message": {Config{}, overPolling, func(c *ioClient) { _ = c.trySend(`42["ping","` + long + `"]`) }, "local message_too_big"},
		"frame":   {Config{}, overWebSocket, func(c *ioClient) { _ = c.trySend(`42["ping","` + long + `"]`) }, "local message_too_big"},
		"post":    {Config{}, overPolling, func(c *ioClient) { _ = c.trySend(strings.Repeat(`42["ping"]`+"\x1e", socketio.MaxPayload/10)) }, "local message_too_big"},
		"attachments": {Config{}, overWebSocket, func(c *ioClient) {
			piece := "b" + base64.StdEncoding.EncodeToString([]byte(long[:wire.MaxFrameBytes/2]))
			_ = c.trySend(`452-["ping"]`, piece, piece)
		}, "local message_too_big"},
		"messages per second": {Config{Limits: Limits{MessagesPerSecond: 1, MessageBurst: 2}}, overWebSocket, func(c *ioClient) {
			for range 10 {
				_ = c.trySend(`42["ping"]`)
			}
		}, "local policy"},
		"two polls at once": {Config{}, overPolling, func(c *ioClient) {
			var both sync.WaitGroup
			defer both.Wait()
			for range 3 {
				both.Go(func() { _, _, _ = c.do(t.Context(), http.MethodGet, "") })
			}
		}, "local protocol_error"},
		"no pong": {Config{Heartbeat: time.Second}, overWebSocket, func(c *ioClient) {
			for _, err := c.raw(); err == nil; _, err = c.raw() {
			}
		}, "network ping_timeout"},
		"no poll": {Config{Heartbeat: time.Second}, overPolling, func(*ioClient) {}, "network ping_timeout"},
		"no poll while others talk": {Config{Limits: Limits{Write: 200 * time.Millisecond, MessagesPerSecond: 1e6, MessageBurst: 1e6, SendQueue: 1000}}, overPolling, func(c *ioClient) {
			c.join("lobby")
			ben := c.f.enter("Ben")
			for range 30 {
				if _, err := ben.say(strings.Repeat("x", wire.MaxTextBytes)); err != nil {
					c.t.Error(err)
				}
			}
		}, "network write_error"},
		"a queue that is full": {Config{Limits: Limits{MessagesPerSecond: 1e6, MessageBurst: 1e6, SendQueue: 10}}, overPolling, func(c *ioClient) {
			c.join("lobby")
			ben := c.f.enter("Ben")
			for range 40 {
				if _, err := ben.say(strings.Repeat("x", wire.MaxTextBytes)); err != nil {
					c.t.Error(err)
				}
			}
		}, "local slow_consumer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, tc.cfg)
			ada := f.io(tc.over, "Ada")
			tc.exceed(ada)
			if tc.want == "local slow_consumer" {
				_ = ada.ended() // it polls at last, and is told
			}
			f.awaitMetrics(map[string]float64{"socketio_disconnections_total " + tc.want: 1},
				"socketio_disconnections_total", "socketio_active_connections", "demo_socketio_clients")
		})
	}
}

// TestSocketIOFaults turns on faults that strike all transports.
func TestSocketIOFaults(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	var clients []*ioClient
	for _, over := range transports {
		clients = append(clients, f.io(over, "Ada"))
	}
	f.turnOn("mass_disconnect", 1, "1m")
	for _, c := range clients {
		if err := c.ended(); err == nil {
			t.Error("it stays")
		}
	}
	f.turnOff("mass_disconnect")
	f.awaitMetrics(map[string]float64{"socketio_disconnections_total network abnormal": 2},
		"socketio_disconnections_total", "socketio_active_connections")

	f.turnOn("handler_panics", 1, "1m")
	for _, over := range transports {
		c := f.io(over, "Ada")
		_ = c.trySend(`42["ping"]`)
		if err := c.ended(); err == nil || over == overWebSocket && websocket.CloseStatus(err) != websocket.StatusInternalError {
			t.Errorf("over %s: ended by %v", over, err)
		}
	}
	f.turnOff("handler_panics")
	f.turnOn("handshake_errors", 1, "1m")
	if status, _, err := (&ioClient{t: t, f: f}).do(t.Context(), http.MethodGet, ""); err != nil || status != http.StatusInternalServerError {
		t.Errorf("a handshake: %d, %v, want 500", status, err)
	}
	f.turnOff("handshake_errors")
	f.awaitMetrics(map[string]float64{
		"socketio_disconnections_total network abnormal": 2, "socketio_disconnections_total local internal": 2,
		"socketio_errors_total handshake": 1, "socketio_errors_total panic": 2, "socketio_connections_total connected": 4, "socketio_connections_total error": 1,
	}, "socketio_disconnections_total", "socketio_errors_total", "socketio_connections_total")
}

// TestSocketIOPings measures how long clients take to answer.
func TestSocketIOPings(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Heartbeat: 3 * time.Second})
	for _, over := range transports {
		c := f.io(over, "Ada")
		before := f.metrics("socketio_pings_total")["socketio_pings_total pong"]
		f.eventually(func() bool {
			if _, err := c.raw(); err != nil {
				t.Fatal(err)
			}
			_ = c.trySend("3") // what has come may be something else
			return f.metrics("socketio_pings_total")["socketio_pings_total pong"] > before
		}, func() string { return "no pong over " + over })
		c.send("41")
	}
}
