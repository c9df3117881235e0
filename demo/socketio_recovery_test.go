package demo

import (
	"sync"
	"testing"
	"time"

	"github.com/sockscope/sockscope/demo/wire"
)

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
