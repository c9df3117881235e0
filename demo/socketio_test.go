package demo

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/sockscope/sockscope/demo/transport/socketio"
	"github.com/sockscope/sockscope/demo/wire"
)

// transports are the ways below Socket.IO, by name.
var transports = []string{overPolling, overWebSocket}

// TestSocketIO has a client talk with clients of every other transport in the same room.
func TestSocketIO(t *testing.T) {
	t.Parallel()
	for _, over := range transports {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			f := start(t, Config{})
			ben := f.dial("Ben")
			ben.join("lobby")
			eve := f.listen("Eve", "", url.Values{"room": {"lobby"}})
			eve.await(wire.TypeRoomUsers)
			ada := f.io(over, "Ada")
			ada.join("lobby")

			ack := ada.ask(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "by Socket.IO <&>"})
			if !ack.Success || ack.Seq != 1 || ack.SavedID == "" {
				t.Errorf("acknowledged with %+v", ack)
			}
			for who, env := range map[string]wire.Envelope{
				"Ada": ada.await(wire.TypeMessage), "Ben": second(await[wire.MessagePayload](ben, wire.TypeMessage)), "Eve": eve.await(wire.TypeMessage).env,
			} {
				p := payloadOf[wire.MessagePayload](t, env)
				if env.Seq != 1 || p.From != "Ada" || p.Text != "by Socket.IO <&>" || p.SavedID != ack.SavedID {
					t.Errorf("%s got %d %+v", who, env.Seq, p)
				}
			}
			id := ben.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "by socket"})
			if env := ada.await(wire.TypeMessage); env.MessageID != id || env.Seq != 2 {
				t.Errorf("Ada got %+v", env)
			}
			if _, _, p, err := f.poll(t.Context(), "Zoe", 0, 0); err != nil || len(p.Messages) != 2 {
				t.Errorf("a poll finds %+v, %v", p, err)
			}
			if ack := ada.ask(wire.TypeMessage, wire.MessagePayload{Room: "cellar", Text: "psst"}); ack.Error != wire.CodeNotInRoom {
				t.Errorf("refused with %+v", ack)
			}
			ada.send("41", "1")
			f.awaitMetrics(map[string]float64{
				"socketio_connections_total connected":        1,
				"socketio_disconnections_total remote normal": 1,
				"socketio_message_duration_seconds join":      1,
				"socketio_message_duration_seconds message":   2,
				"socketio_messages_total receive join":        1,
				"socketio_messages_total receive message":     2,
				"socketio_messages_total transmit ack":        3,
				"socketio_messages_total transmit message":    2,
				"socketio_messages_total transmit room_users": 1,
				"socketio_messages_total transmit welcome":    1,
			}, "socketio_connections_total", "socketio_disconnections_total", "socketio_active_connections", "socketio_errors_total",
				"socketio_message_duration_seconds", "socketio_messages_total", "demo_socketio_clients")
		})
	}
}

func second[P any](env wire.Envelope, _ P) wire.Envelope { return env }

// TestSocketIOAnswers asks without wanting an acknowledgement, and for what is no request.
func TestSocketIOAnswers(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	ada := f.io(overPolling, "Ada")
	id := uuid.NewString()
	ada.send(`42["ping",{"messageId":"` + id + `"}]`)
	if env := ada.await(wire.TypePong); env.MessageID != id {
		t.Errorf("pong %+v", env)
	}
	ada.send(`427["ping"]`, `428["dance"]`, `42["dance"]`, `429["typing",{"payload":{"room":"lobby","typing":true}}]`)
	for _, want := range []struct {
		id   int
		name string
		typ  wire.Type
	}{{7, "", wire.TypePong}, {8, "", wire.TypeError}, {-1, "error", wire.TypeError}, {9, "", wire.TypeAck}} {
		if ev, err := ada.next(); err != nil || ev.id != want.id || ev.name != want.name || ev.env.Type != want.typ {
			t.Errorf("got %+v, %v, want %+v", ev, err, want)
		}
	}
}

// TestSocketIOUpgrade goes from polling to a WebSocket while others talk at full speed: nothing is lost, nor comes
// twice or in another order.
func TestSocketIOUpgrade(t *testing.T) {
	t.Parallel()
	const each, clients = 150, 5
	f := start(t, Config{Limits: Limits{MessagesPerSecond: 1e6, MessageBurst: 1e6, SendQueue: 10_000}})
	ben := f.enter("Ben")
	var running sync.WaitGroup
	for i := range clients {
		ada := f.io(overPolling, fmt.Sprint("Ada-", i))
		ada.join("lobby")
		running.Go(func() {
			for want := uint64(1); want <= each; want++ {
				if want == uint64(10*(i+1)) {
					ada.upgrade()
				}
				env := ada.await(wire.TypeMessage)
				if env.Seq != want {
					t.Errorf("%d after %d", env.Seq, want-1)
					return
				}
			}
			ada.send("41")
		})
	}
	for range each {
		if _, err := ben.say("hello"); err != nil {
			t.Fatal(err)
		}
	}
	running.Wait()
	f.awaitMetrics(map[string]float64{
		"demo_socketio_upgrades_total upgraded": clients, "demo_socketio_clients websocket": clients,
		"socketio_disconnections_total remote normal": clients,
	}, "demo_socketio_upgrades_total", "demo_socketio_clients", "socketio_disconnections_total")
}

// TestSocketIOUpgradeFails has clients try a WebSocket and not go on: they still poll.
func TestSocketIOUpgradeFails(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	ada := f.io(overPolling, "Ada")
	for i, said := range []string{"", "2probe", "2probe 3"} {
		conn := ada.dial()
		for part := range strings.FieldsSeq(said) {
			if err := conn.Write(t.Context(), websocket.MessageText, []byte(part)); err != nil {
				t.Fatal(err)
			}
		}
		if said == "2probe" {
			if _, data, err := conn.Read(t.Context()); err != nil || string(data) != "3probe" {
				t.Fatalf("%q, %v", data, err)
			}
			if _, resp, err := websocket.Dial(t.Context(), strings.Replace(ada.url(), overPolling, overWebSocket, 1), nil); err == nil || resp.StatusCode != http.StatusBadRequest {
				t.Errorf("a second one at once: %v, want 400", err)
			}
		}
		_ = conn.CloseNow()
		f.awaitMetrics(map[string]float64{"demo_socketio_upgrades_total failed": float64(i + 1)}, "demo_socketio_upgrades_total")
		if ack := ada.ask(wire.TypeJoin, wire.JoinPayload{Room: "lobby"}); !ack.Success {
			t.Errorf("after %q: %+v", said, ack)
		}
	}
	ada.upgrade()
	ada.join("lobby")
	if status, _, err := ada.do(t.Context(), http.MethodPost, "3"); err != nil || status != http.StatusBadRequest {
		t.Errorf("a post after the upgrade: %d, %v, want 400", status, err)
	}
	ada.join("cellar")
}

// TestSocketIORecovery cuts clients off while others talk: they come back to where they were, and get what they have
// missed once and in order, however much that is.
func TestSocketIORecovery(t *testing.T) {
	t.Parallel()
	const missed = 230 // more than one piece of history
	for _, over := range transports {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			f := start(t, Config{Limits: Limits{MessagesPerSecond: 1e6, MessageBurst: 1e6, SendQueue: 10_000}})
			ben := f.enter("Ben")
			ada := f.io(over, "Ada")
			ada.join("lobby")
			ada.join("cellar")
			if ack := ada.ask(wire.TypeLeave, wire.RoomPayload{Room: "cellar"}); !ack.Success {
				t.Fatalf("leave: %+v", ack)
			}
			ada.join("attic")
			if ack := ada.ask(wire.TypeSubscribe, wire.StreamPayload{Stream: wire.StreamDashboard}); !ack.Success {
				t.Fatalf("subscribe: %+v", ack)
			}
			say := func(n int) {
				for range n {
					if _, err := ben.say("hello"); err != nil {
						t.Fatal(err)
					}
				}
			}
			say(2)
			for ada.offset != "attic=0 lobby=2 +dashboard" {
				if _, err := ada.next(); err != nil {
					t.Fatalf("%v, the offset is %q", err, ada.offset)
				}
			}
			ada.cut()
			f.eventually(func() bool { return f.chat.sessions.Len() == 1 }, func() string { return "the client is not missed" })
			say(missed)

			again := ada.back(over, f.token("Ada"))
			if again.pid != ada.pid {
				t.Errorf("it comes back as %s, want %s", again.pid, ada.pid)
			}
			var talking sync.WaitGroup
			talking.Go(func() { say(10) })
			for want := uint64(3); want <= missed+12; want++ {
				env := again.await(wire.TypeMessage)
				if p := payloadOf[wire.MessagePayload](t, env); env.Seq != want || p.From != "Ben" || p.SavedID == "" {
					t.Fatalf("%d %+v after %d", env.Seq, p, want-1)
				}
			}
			talking.Wait()
			again.await(wire.TypeDashboard)
			for room, want := range map[string]wire.Code{"attic": "", "cellar": wire.CodeNotInRoom} {
				if ack := again.ask(wire.TypeMessage, wire.MessagePayload{Room: room, Text: "here?"}); ack.Error != want {
					t.Errorf("in %s: %+v, want %q", room, ack, want)
				}
			}
			f.awaitMetrics(map[string]float64{
				"demo_socketio_recoveries_total recovered": 1, "socketio_disconnections_total network abnormal": 1,
			}, "demo_socketio_recoveries_total", "socketio_disconnections_total")
		})
	}
}

// TestSocketIORecoveryRefused comes back with less than there has to be for it.
func TestSocketIORecoveryRefused(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	ada := f.io(overWebSocket, "Ada")
	ada.join("lobby")
	ada.join("cellar")
	for name, auth := range map[string]map[string]string{
		"no token":       {"pid": ada.pid, "offset": ada.offset},
		"no offset":      {"pid": ada.pid, "token": f.token("Ada")},
		"made up offset": {"pid": ada.pid, "offset": "lobby!", "token": f.token("Ada")},
		"made up id":     {"pid": "x", "offset": ada.offset, "token": f.token("Ada")},
	} {
		c := f.openIO(overWebSocket)
		if c.connect("", auth); c.pid == ada.pid || c.pid == "x" {
			t.Errorf("%s: it is %s again", name, c.pid)
		}
	}
	fewer, err := f.tokens.Issue("Ada", []string{"lobby"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	again := ada.back(overWebSocket, fewer)
	if p := ioPayload[wire.PresencePayload](again, wire.TypeLeft); p != (wire.PresencePayload{Room: "cellar", User: "Ada"}) {
		t.Errorf("told of %+v, want that the token does not open the cellar", p)
	}
	for again.offset != "lobby=0" {
		if _, err := again.next(); err != nil {
			t.Fatalf("%v, the offset is %q", err, again.offset)
		}
	}
	f.awaitMetrics(map[string]float64{"demo_socketio_recoveries_total recovered": 1, "demo_socketio_recoveries_total afresh": 4},
		"demo_socketio_recoveries_total")
}

// TestSocketIOBinary speaks MessagePack both ways.
func TestSocketIOBinary(t *testing.T) {
	t.Parallel()
	for _, over := range transports {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			f := start(t, Config{})
			ben := f.dial("Ben")
			ben.join("lobby")
			ada := f.openIO(over)
			ada.connect("", map[string]string{"token": f.token("Ada"), "encoding": "msgpack"})
			piece := func(want string) wire.Envelope {
				t.Helper()
				for {
					text, err := ada.packet()
					if err != nil {
						t.Fatal(err)
					}
					code, err := ada.packet()
					if err != nil || code[0] != 'b' {
						t.Fatalf("%q follows %s, %v", code, text, err)
					}
					if !strings.HasPrefix(text, want) {
						continue
					}
					var fields map[string]any
					if err := msgpack.Unmarshal(must(base64.StdEncoding.DecodeString(code[1:])), &fields); err != nil {
						t.Fatal(err)
					}
					var env wire.Envelope
					if err := json.Unmarshal(must(json.Marshal(fields)), &env); err != nil {
						t.Fatal(err)
					}
					return env
				}
			}
			send := func(typ wire.Type, id int, payload any) {
				t.Helper()
				data := packed(t, typ, "", payload)
				ada.send(fmt.Sprintf(`451-%d[%q,{"_placeholder":true,"num":0}]`, id, typ), "b"+base64.StdEncoding.EncodeToString(data))
			}
			send(wire.TypeJoin, 1, wire.JoinPayload{Room: "lobby"})
			if env := piece(`451-["room_users",{"_placeholder":true,"num":0},"lobby=0"]`); env.Type != wire.TypeRoomUsers {
				t.Errorf("got %+v", env)
			}
			if env := piece(`461-1[{"_placeholder":true,"num":0}]`); env.Type != wire.TypeAck {
				t.Errorf("got %+v", env)
			}
			send(wire.TypeMessage, 2, wire.MessagePayload{Room: "lobby", Text: "päckchen"})
			if p := payloadOf[wire.MessagePayload](t, piece(`451-["message",`)); p.Text != "päckchen" {
				t.Errorf("Ada got %+v", p)
			}
			if _, p := await[wire.MessagePayload](ben, wire.TypeMessage); p.Text != "päckchen" {
				t.Errorf("Ben got %+v", p)
			}
			// A packed frame is shared with clients of WebSockets.
			eve := f.mustConnect(&websocket.DialOptions{
				HTTPHeader: bearer(f.token("Eve")), Subprotocols: []string{wire.SubprotocolMessagePack},
			})
			unpacked(t, eve, wire.TypeWelcome)
			eve.write(websocket.MessageBinary, packed(t, wire.TypeJoin, "", wire.JoinPayload{Room: "lobby"}))
			unpacked(t, eve, wire.TypeRoomUsers)
			unpacked(t, eve, wire.TypeAck)
			ben.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: "for both"})
			if p := payloadOf[wire.MessagePayload](t, piece(`451-["message",`)); p.Text != "for both" {
				t.Errorf("Ada got %+v", p)
			}
			if _, p := unpacked(t, eve, wire.TypeMessage); p["text"] != "for both" {
				t.Errorf("Eve got %v", p)
			}
		})
	}
}

// TestSocketIONamespaces has one client in two namespaces: they are two connections, told apart by their label.
func TestSocketIONamespaces(t *testing.T) {
	t.Parallel()
	f := start(t, Config{})
	ada := f.io(overWebSocket, "Ada")
	ada.connect("/feed,", map[string]string{"token": f.token("Ada")})
	ada.await(wire.TypeWelcome)
	ada.send(`42/feed,1["subscribe",{"payload":{"stream":"market"}}]`)
	ada.await(wire.TypeTicks)
	labels := func() map[string]float64 {
		counts := map[string]float64{}
		families, err := f.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				if family.GetName() == "socketio_active_connections" {
					counts[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
				}
			}
		}
		return counts
	}
	if diff := cmp.Diff(map[string]float64{"chat": 1, "feed": 1}, labels()); diff != "" {
		t.Errorf("connections by namespace (-want +got):\n%s", diff)
	}
	ada.send("41/feed,")
	f.eventually(func() bool { return labels()["feed"] == 0 }, func() string { return "the feed stays" })
	ada.join("lobby")

	ada.send("40/secret,{}")
	for {
		text, err := ada.packet()
		if err != nil {
			t.Fatal(err)
		}
		if text == `44/secret,{"message":"Invalid namespace"}` {
			break
		}
	}
	ada.send("40/feed,{}") // it may come back, by the token that has opened the client or one that comes yet
	f.eventually(func() bool { return labels()["feed"] == 1 }, func() string { return "the feed does not come back" })
}

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

// TestSocketIOLobby opens clients that don't connect to a namespace, or leave it and stay.
func TestSocketIOLobby(t *testing.T) {
	t.Parallel()
	f := start(t, Config{Limits: Limits{Handshake: 200 * time.Millisecond}})
	for _, over := range transports {
		c := f.openIO(over)
		if err := c.ended(); err == nil {
			t.Errorf("over %s it stays", over)
		}
		c = f.io(over, "Ada")
		c.send("41")
		if err := c.ended(); err == nil {
			t.Errorf("over %s it stays in no namespace", over)
		}
	}
	f.eventually(func() bool { return f.chat.door.Open() == 0 }, func() string { return "they keep their places" })
}

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
