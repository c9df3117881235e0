package demo

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
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
