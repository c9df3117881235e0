package game

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/demo/use"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newGame(t testing.TB, cfg Config) *Game {
	t.Helper()
	var err error
	cfg.Observer, err = observe.New(observe.Config{Logger: slog.New(slog.DiscardHandler), ConnectionLimit: 100})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Registerer == nil {
		cfg.Registerer = prometheus.NewRegistry()
	}
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// peer is somebody who is connected, and what that one was sent.
type peer struct {
	t     testing.TB
	name  string
	visit use.Visit
	holds func() // a state that is delivered

	mu     sync.Mutex
	frames []*wire.Frame
}

func enter(t testing.TB, g *Game, name string) *peer {
	p := &peer{t: t, name: name}
	p.visit = g.Begin(p)
	return p
}

func (p *peer) Deliver(f *wire.Frame, _ *instrument.Broadcast) {
	if p.holds != nil && f.Type == wire.TypeGameState {
		p.holds()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frames = append(p.frames, f)
}

func (p *peer) Identity() auth.Identity    { return auth.Identity{User: p.name} }
func (p *peer) Observed() *instrument.Conn { return nil }

// ask sends a request.
func (p *peer) ask(typ wire.Type, payload any) error {
	p.t.Helper()
	env, err := wire.New(typ, uuid.NewString(), payload)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.visit.Handle(context.Background(), &env)
}

// join has the peer play, and returns what it is told of the game.
func (p *peer) join() wire.GamePayload {
	p.t.Helper()
	if err := p.ask(wire.TypeGameJoin, nil); err != nil {
		p.t.Fatal(err)
	}
	for _, f := range slices.Backward(p.got()) {
		if f.Type == wire.TypeGame {
			return payload[wire.GamePayload](p.t, f)
		}
	}
	p.t.Fatal("a player is not told of the game")
	return wire.GamePayload{}
}

// taken returns the states that were sent since it was called last.
func (p *peer) taken() []wire.GameStatePayload {
	p.t.Helper()
	var all []wire.GameStatePayload
	for _, f := range p.got() {
		if f.Type == wire.TypeGameState {
			all = append(all, payload[wire.GameStatePayload](p.t, f))
		}
	}
	return all
}

// got returns what was delivered since it was called last.
func (p *peer) got() []*wire.Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	frames := p.frames
	p.frames = nil
	return frames
}

func payload[P any](t testing.TB, f *wire.Frame) (p P) {
	t.Helper()
	var env wire.Envelope
	if err := json.Unmarshal(f.Data, &env); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(env.Payload, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// client has the states that a client has, as it reconstructs them.
type client map[uint64]map[uint32]place

// take adds a state, and reports whether its base is known. States that no later one can be the difference to are
// forgotten, as the page forgets them.
func (c client) take(p wire.GameStatePayload) bool {
	base, known := c[p.Base]
	if p.Base != 0 && !known {
		return false
	}
	now := make(map[uint32]place, len(base))
	for id, where := range base {
		now[id] = where
	}
	for _, id := range p.Gone {
		delete(now, id)
	}
	for _, moved := range p.Players {
		name := moved.Name
		if name == "" {
			name = now[moved.ID].name
		}
		now[moved.ID] = place{name, moved.X, moved.Y}
	}
	c[p.Tick] = now
	for tick := range c {
		if tick+Keep <= p.Tick {
			delete(c, tick)
		}
	}
	return true
}
