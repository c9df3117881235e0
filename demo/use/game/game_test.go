package game

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sockscope/sockscope/demo/wire"
)

// run has a game tick until the test ends. It is to be called in a bubble.
func run(t *testing.T, g *Game) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { g.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
}

// put has a player be somewhere.
func (g *Game) put(id uint32, x, y int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.players[id].x, g.players[id].y = x, y
}

// after lets time pass, and everything be done that was due by then.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// lateness returns how many ticks there were, and how late they were in all.
func lateness(t *testing.T, registry prometheus.Gatherer) (ticks uint64, sum float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "demo_game_tick_lateness_seconds" {
		t.Fatalf("metrics are %v, %v", families, err)
	}
	h := families[0].GetMetric()[0].GetHistogram()
	return h.GetSampleCount(), h.GetSampleSum()
}

func TestTicks(t *testing.T) {
	for _, rate := range []int{20, 30, 60} {
		synctest.Test(t, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			g := newGame(t, Config{Rate: rate, Registerer: registry})
			run(t, g)
			after(time.Second)
			if ticks, _ := lateness(t, registry); ticks != 0 {
				t.Errorf("%d ticks while nobody plays", ticks)
			}
			ada := enter(t, g, "Ada")
			game := ada.join()
			if want := (wire.GamePayload{Player: 1, Rate: rate, Width: width, Height: height, Keep: Keep}); game != want {
				t.Errorf("Ada plays %+v, want %+v", game, want)
			}
			after(time.Second + time.Millisecond)
			states := ada.taken()
			if len(states) != rate {
				t.Fatalf("%d states in a second, want %d", len(states), rate)
			}
			for i, s := range states {
				if s.Tick != uint64(i+1) || s.Base != 0 || len(s.Players) != 1 || s.Players[0].Name != "Ada" {
					t.Fatalf("without an ack state %d is %+v", i+1, s)
				}
			}
			if ticks, late := lateness(t, registry); ticks != uint64(rate) || late != 0 {
				t.Errorf("%d ticks, %v s late, want %d on time", ticks, late, rate)
			}
			ada.visit.End()
			after(time.Second)
			if ticks, _ := lateness(t, registry); ticks != uint64(rate) {
				t.Errorf("%d ticks after the only player has left, want %d", ticks, rate)
			}
		})
	}
}

// TestPlayersMove has a player go where it heads, at the same speed whatever the rate, and stay in the arena.
func TestPlayersMove(t *testing.T) {
	for _, rate := range []int{20, 30, 60} {
		synctest.Test(t, func(t *testing.T) {
			g := newGame(t, Config{Rate: rate})
			run(t, g)
			ada := enter(t, g, "Ada")
			ada.join()
			g.put(1, 100, height-50)
			for _, in := range []wire.GameInputPayload{{X: -1, Y: -1}, {X: 1, Y: 1}} {
				if err := ada.ask(wire.TypeGameInput, in); err != nil { // the last one counts
					t.Fatal(err)
				}
			}
			after(time.Second + time.Millisecond)
			states := ada.taken()
			last := states[len(states)-1].Players[0]
			if last.X != 100+speed || last.Y != height {
				t.Errorf("at %d ticks/s Ada is at %d, %d, want %d, %d", rate, last.X, last.Y, 100+speed, height)
			}
		})
	}
}

// TestLateTicks has a tick come late: those that are due meanwhile are one, players go as far, and lateness is
// measured.
func TestLateTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		g := newGame(t, Config{Rate: 20, Registerer: registry})
		run(t, g)
		ada := enter(t, g, "Ada")
		var once sync.Once
		ada.holds = func() { once.Do(func() { time.Sleep(120 * time.Millisecond) }) } // so two ticks wait for the first
		ada.join()
		g.put(1, 0, 0)
		if err := ada.ask(wire.TypeGameInput, wire.GameInputPayload{X: 1}); err != nil {
			t.Fatal(err)
		}
		after(210 * time.Millisecond)
		var ticks []uint64
		var x []int
		for _, s := range ada.taken() {
			ticks = append(ticks, s.Tick)
			x = append(x, s.Players[0].X)
		}
		stride := speed / 20
		if diff := cmp.Diff([]uint64{1, 3, 4}, ticks); diff != "" {
			t.Errorf("ticks (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]int{stride, 3 * stride, 4 * stride}, x); diff != "" {
			t.Errorf("places (-want +got):\n%s", diff)
		}
		if n, sum := lateness(t, registry); n != 3 || sum < .069 || sum > .071 {
			t.Errorf("%d ticks were late by %v s, want 3 by 0.07", n, sum)
		}
	})
}

// TestSilentPlayers get the states of a second, and then one a second until they acknowledge.
func TestSilentPlayers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGame(t, Config{Rate: 20})
		run(t, g)
		ada := enter(t, g, "Ada")
		ada.join()
		after(10*time.Second + time.Millisecond)
		if states := ada.taken(); len(states) != 20+9 {
			t.Errorf("%d states in 10 s, want those of one and one of each other", len(states))
		}
		if err := ada.ask(wire.TypeGameInput, wire.GameInputPayload{Ack: 200}); err != nil {
			t.Fatal(err)
		}
		after(time.Second)
		if states := ada.taken(); len(states) != 20 || states[0].Base != 200 {
			t.Errorf("%d states in the second after an ack, of %d, want 20 of 200", len(states), states[0].Base)
		}
	})
}

func TestInputsAreRefused(t *testing.T) {
	g := newGame(t, Config{Players: 1})
	ada, ben := enter(t, g, "Ada"), enter(t, g, "Ben")
	code := func(err error) wire.Code {
		var refused *wire.RefusalError
		if !errors.As(err, &refused) {
			return ""
		}
		return refused.Code
	}
	input := wire.GameInputPayload{X: 1}
	if got := code(ada.ask(wire.TypeGameInput, input)); got != wire.CodeNotInRoom {
		t.Errorf("who does not play: %q", got)
	}
	ada.join()
	if err := ada.ask(wire.TypeGameInput, input); err != nil {
		t.Error(err)
	}
	if got := code(ada.ask(wire.TypeGameInput, wire.GameInputPayload{Ack: 1})); got != wire.CodeBadPayload {
		t.Errorf("an ack of what was not sent: %q", got)
	}
	if got := code(ben.ask(wire.TypeGameJoin, nil)); got != wire.CodeServerFull {
		t.Errorf("one too many: %q", got)
	}
	if game := ada.join(); game.Player != 1 {
		t.Errorf("Ada joins again as player %d", game.Player)
	}
	if err := ada.ask(wire.TypeGameLeave, nil); err != nil {
		t.Error(err)
	}
	if game := ben.join(); game.Player != 2 {
		t.Errorf("Ben is player %d, want one of his own", game.Player)
	}
	if _, err := New(Config{Rate: 61}); err == nil {
		t.Error("61 ticks in a second are allowed")
	}
}

// TestStatesAreReconstructed has players come, go and move, and their states and acks be late or lost, in any sequence:
// each state that a client understands is the server's, and once acks come through again it has the newest.
func TestStatesAreReconstructed(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			g := newGame(t, Config{Rate: 20, Players: 8})
			players := make([]*playing, 6)
			for i := range players {
				players[i] = &playing{peer: enter(t, g, fmt.Sprint("player ", i))}
			}
			truth := make(map[uint64]map[uint32]place)
			step := func() {
				if g.step(untraced(t.Context()), 1+rnd.Uint64N(1+rnd.Uint64N(100))) {
					truth[g.tick] = g.states.at(g.tick).players
				}
			}
			for range 150 {
				players[rnd.IntN(len(players))].act(rnd)
				step()
				for _, p := range players {
					p.receive(rnd, truth, rnd.IntN(4) == 0)
				}
			}
			for range Keep / 2 { // for whatever was lost before
				step()
				for _, p := range players {
					p.receive(rnd, truth, false)
				}
			}
			for _, p := range players {
				if p.in && p.newest != g.tick {
					t.Errorf("%s has the state %d, want %d", p.name, p.newest, g.tick)
				}
			}
		})
	}
}

// playing is a peer with a way between it and the server that is slow and loses things.
type playing struct {
	*peer
	in      bool
	states  client
	newest  uint64
	waiting []wire.GameStatePayload // on their way, and in order
	acks    []uint64                // on their way, in any order
}

// act has the player come, go, or head somewhere.
func (p *playing) act(rnd *rand.Rand) {
	switch {
	case !p.in:
		p.join()
		p.in, p.states, p.newest, p.waiting, p.acks = true, client{}, 0, nil, nil
	case rnd.IntN(10) == 0:
		p.visit.End()
		p.got()
		p.in = false
	default:
		_ = p.ask(wire.TypeGameInput, wire.GameInputPayload{X: rnd.IntN(3) - 1, Y: rnd.IntN(3) - 1})
	}
}

// receive takes some of what is on its way. If the way is bad, states and acks may stay or be lost: a state is where a
// newer one has taken its place in the queue.
func (p *playing) receive(rnd *rand.Rand, truth map[uint64]map[uint32]place, bad bool) {
	for _, s := range p.taken() {
		if bad && rnd.IntN(2) == 0 && len(p.waiting) > 0 {
			p.waiting[len(p.waiting)-1] = s
		} else {
			p.waiting = append(p.waiting, s)
		}
	}
	if !p.in || bad && rnd.IntN(2) == 0 {
		return
	}
	for _, s := range p.waiting {
		if !p.states.take(s) {
			p.t.Fatalf("%s has no state %d, to which %d is the difference", p.name, s.Base, s.Tick)
		}
		if want, got := truth[s.Tick], p.states[s.Tick]; !maps.Equal(want, got) {
			p.t.Fatalf("%s: state %d is %v, want %v", p.name, s.Tick, got, want)
		}
		p.newest = s.Tick
		p.acks = append(p.acks, s.Tick)
	}
	p.waiting = nil
	rnd.Shuffle(len(p.acks), func(i, j int) { p.acks[i], p.acks[j] = p.acks[j], p.acks[i] })
	for _, ack := range p.acks {
		if bad && rnd.IntN(2) == 0 {
			continue
		}
		if err := p.ask(wire.TypeGameInput, wire.GameInputPayload{Ack: ack}); err != nil {
			p.t.Fatal(err)
		}
	}
	p.acks = nil
}

// BenchmarkTick has a full arena move, and all players have acknowledged the tick before.
func BenchmarkTick(b *testing.B) {
	g := newGame(b, Config{})
	for i := range DefaultPlayers {
		p := enter(b, g, fmt.Sprint("player ", i))
		p.join()
		g.players[p.visit.(*visit).id].headX = 1
	}
	ctx := untraced(b.Context())
	b.ReportAllocs()
	for b.Loop() {
		g.step(ctx, 1)
		for _, p := range g.players {
			p.acked = p.sent
			p.peer.(*peer).got()
		}
	}
}
