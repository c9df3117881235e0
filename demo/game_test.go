package demo

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	chatv1 "github.com/sockscope/sockscope/demo/proto/sockscope/chat/v1"
	"github.com/sockscope/sockscope/demo/wire"
)

// TestGame has players of all transports that have requests: one moves, and all see the same.
func TestGame(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GRPC: true, GameRate: 60})
	ada, ben, cleo, dan := f.dial("Ada"), f.listen("Ben", "", nil), f.io(overPolling, "Cleo"), f.chatter("Dan")
	if ack := cleo.ask(wire.TypeGameInput, wire.GameInputPayload{X: 1}); ack.Error != wire.CodeNotInRoom {
		t.Errorf("input of who does not play: %+v", ack)
	}
	ada.send(wire.TypeGameJoin, nil)
	ben.post(wire.TypeGameJoin, nil)
	cleo.emit(wire.TypeGameJoin, nil)
	if err := dan.rpc.Send(&chatv1.ChatRequest{
		MessageId: uuid.NewString(), Timestamp: timestamppb.Now(),
		Payload: &chatv1.ChatRequest_GameJoin{GameJoin: new(chatv1.GameJoin)},
	}); err != nil {
		t.Fatal(err)
	}
	if game := dan.await("game").GetGame(); game.GetRate() != 60 || game.GetPlayer() == 0 {
		t.Errorf("Dan plays %v", game)
	}
	states := map[string]func() wire.GameStatePayload{
		"Ada": func() wire.GameStatePayload {
			_, s := await[wire.GameStatePayload](ada, wire.TypeGameState)
			return s
		},
		"Ben": func() wire.GameStatePayload {
			return payloadOf[wire.GameStatePayload](t, ben.await(wire.TypeGameState).env)
		},
		"Cleo": func() wire.GameStatePayload { return ioPayload[wire.GameStatePayload](cleo, wire.TypeGameState) },
		"Dan":  func() wire.GameStatePayload { return stateOf(dan.await("game_state").GetGameState()) },
	}
	for _, next := range states {
		s := next()
		for ; len(s.Players) < 4; s = next() { // who acknowledges nothing is sent all of them each time
		}
	}
	if status, _ := ben.post(wire.TypeGameInput, wire.GameInputPayload{X: 1, Y: -1}); status != 202 {
		t.Errorf("Ben's input is answered %d", status)
	}
	for _, next := range states {
		for where(next(), "Ben") != "1600 0" { // where all ways to the right and up end
		}
	}
	ben.close()
	for name, next := range states {
		if name == "Ben" {
			continue
		}
		s := next()
		for ; len(s.Players) > 3; s = next() {
		}
		if where(s, "Ben") != "" {
			t.Errorf("%s still sees Ben, and not one of the others: %+v", name, s)
		}
	}
	if got := f.metrics("demo_game_tick_lateness_seconds"); len(got) != 1 {
		t.Errorf("lateness is %v", got)
	}
}

func stateOf(s *chatv1.GameState) wire.GameStatePayload {
	p := wire.GameStatePayload{Tick: s.GetTick(), Base: s.GetBase(), Gone: s.GetGone()}
	for _, player := range s.GetPlayers() {
		p.Players = append(p.Players, wire.GamePlayer{
			ID: player.GetId(), Name: player.GetName(), X: int(player.GetX()), Y: int(player.GetY()),
		})
	}
	return p
}

// where returns where a player is by a whole state, nothing if it is not there.
func where(s wire.GameStatePayload, name string) string {
	for _, p := range s.Players {
		if p.Name == name {
			return fmt.Sprint(p.X, " ", p.Y)
		}
	}
	return ""
}

// TestSlowPlayer has a player that reads nothing for a while find no more than one state in its queue, with the policy
// that gives up connections whose queue is full.
func TestSlowPlayer(t *testing.T) {
	t.Parallel()
	f := start(t, Config{GameRate: 60, Limits: Limits{SendQueue: 10_000, MessagesPerSecond: 1e6}})
	slow, quick := f.dial("slow"), f.dial("quick")
	slow.join("lobby")
	quick.join("lobby")
	text := strings.Repeat("x", wire.MaxTextBytes)
	var last uint64
	f.clog("websocket_send_queue_messages", func() {
		quick.send(wire.TypeMessage, wire.MessagePayload{Room: "lobby", Text: text})
		env, _ := await[wire.MessagePayload](quick, wire.TypeMessage)
		last = env.Seq
	})
	slow.send(wire.TypeGameJoin, nil)
	f.eventually(func() bool {
		return f.metrics("websocket_messages_dropped_total")["messages_dropped_total superseded"] >= 20
	}, func() string { return "no state takes the place of another" })
	ticks := 0
	for seq := uint64(0); seq < last; {
		env, err := slow.read()
		if err != nil {
			t.Fatalf("after message %d: %v", seq, err)
		}
		switch env.Type {
		case wire.TypeMessage:
			seq = env.Seq
		case wire.TypeGameState:
			ticks++
		}
	}
	if _, s := await[wire.GameStatePayload](slow, wire.TypeGameState); s.Tick < 20 || ticks > 0 {
		t.Errorf("the state of tick %d comes first, after %d others, want one of 20 or later", s.Tick, ticks)
	}
	if dropped := f.metrics("websocket_messages_dropped_total"); len(dropped) != 1 {
		t.Errorf("dropped %v, want superseded states only", dropped)
	}
}
