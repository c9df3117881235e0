package game

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/demo/use"
	"github.com/sockscope/sockscope/demo/wire"
)

// The bounds of a game where nobody says, and those of its rate.
const (
	DefaultRate    = 30
	DefaultPlayers = 64
	minRate        = 20
	maxRate        = 60
)

// Config says how a game is.
type Config struct {
	Observer   *observe.Observer
	Registerer prometheus.Registerer // default: its metrics are not registered
	Rate       int                   // ticks in a second, 20 to 60; DefaultRate by default
	Players    int                   // at once; DefaultPlayers by default
}

// Game is the use.
type Game struct {
	cfg      Config
	interval time.Duration // between ticks
	stride   int           // units that a player goes in a tick
	lateness prometheus.Histogram
	begun    chan struct{} // has a value when somebody plays

	mu      sync.Mutex
	tick    uint64
	last    uint32 // id that was given
	players map[uint32]*player
	states  states
}

// player is one who plays.
type player struct {
	place
	id           uint32
	peer         use.Peer
	headX, headY int    // where to
	joined       uint64 // the tick before its first state
	acked, sent  uint64 // ticks of states
}

// New returns a game that nobody plays, with its metrics registered. Run has it tick.
func New(cfg Config) (*Game, error) {
	if cfg.Rate == 0 {
		cfg.Rate = DefaultRate
	}
	if cfg.Players == 0 {
		cfg.Players = DefaultPlayers
	}
	if cfg.Rate < minRate || cfg.Rate > maxRate {
		return nil, fmt.Errorf("game: Rate is %d: give %d to %d ticks in a second", cfg.Rate, minRate, maxRate)
	}
	lateness, err := newLateness(cfg.Registerer)
	if err != nil {
		return nil, fmt.Errorf("game: %w", err)
	}
	return &Game{
		cfg: cfg, interval: time.Second / time.Duration(cfg.Rate), stride: speed / cfg.Rate, lateness: lateness,
		begun: make(chan struct{}, 1), players: make(map[uint32]*player),
	}, nil
}

// Requests implements use.Use.
func (*Game) Requests() []wire.Type {
	return []wire.Type{wire.TypeGameJoin, wire.TypeGameLeave, wire.TypeGameInput}
}

// Begin implements use.Use.
func (g *Game) Begin(p use.Peer) use.Visit { return &visit{Game: g, peer: p} }

// visit is a peer that may play.
type visit struct {
	*Game
	peer use.Peer
	id   uint32 // of its player, 0 while it does not play
}

// Handle implements use.Visit.
func (v *visit) Handle(ctx context.Context, env *wire.Envelope) error {
	switch env.Type {
	case wire.TypeGameJoin:
		return v.join(ctx, env)
	case wire.TypeGameLeave:
		v.End()
		use.Succeed(ctx, v.peer, env.MessageID, wire.AckPayload{})
		return nil
	default: // see Requests
		return v.input(env)
	}
}

// Renewed implements use.Visit: the game is open to everybody.
func (*visit) Renewed() {}

// End implements use.Visit.
func (v *visit) End() {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.players, v.id)
	v.id = 0
}

// join has the peer play. One that plays already begins anew, with the same player.
func (v *visit) join(ctx context.Context, env *wire.Envelope) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.players[v.id]
	if p == nil {
		if len(v.players) >= v.cfg.Players {
			return &wire.RefusalError{Code: wire.CodeServerFull, Reason: fmt.Sprintf("%d players are in the game already", v.cfg.Players)}
		}
		v.last++
		v.id = v.last
		p = &player{id: v.id, peer: v.peer, place: place{
			name: v.peer.Identity().User, x: rand.IntN(width + 1), y: rand.IntN(height + 1),
		}}
		v.players[v.id] = p
	}
	p.joined, p.acked = v.tick, 0
	use.Answer(ctx, v.peer, wire.TypeGame, "", wire.GamePayload{
		Player: p.id, Rate: v.cfg.Rate, Width: width, Height: height, Keep: Keep,
	})
	use.Succeed(ctx, v.peer, env.MessageID, wire.AckPayload{})
	select {
	case v.begun <- struct{}{}:
	default: // it is told already
	}
	return nil
}

// input takes what a player does: of several in one tick the last one counts.
func (v *visit) input(env *wire.Envelope) error {
	in, err := env.GameInput()
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.players[v.id]
	switch {
	case p == nil:
		return &wire.RefusalError{Code: wire.CodeNotInRoom, Reason: "join the game first"}
	case in.Ack > p.sent:
		return &wire.RefusalError{Code: wire.CodeBadPayload, Reason: "ack is the tick of a state that was not sent"}
	}
	p.headX, p.headY = in.X, in.Y
	p.acked = max(p.acked, in.Ack)
	return nil
}
