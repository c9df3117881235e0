package game

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/demo/wire"
)

// key is that of all states: the newest is of worth, the others are not.
const key = "game"

// Run ticks while somebody plays, until ctx ends.
func (g *Game) Run(ctx context.Context) {
	ctx = untraced(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.begun:
		}
		g.play(ctx)
	}
}

// untraced returns a context in which nothing is traced: the ticks alone would use up all spans that there may be.
func untraced(ctx context.Context) context.Context {
	return trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1},
	}))
}

// play ticks until nobody plays. Ticks are due at the same distance whatever they take. One that comes after another
// was due takes the place of both: players go as far as in all, and nobody gets what is outdated already.
func (g *Game) play(ctx context.Context) {
	due := time.Now().Add(g.interval)
	timer := time.NewTimer(g.interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		late := max(0, time.Since(due))
		ticks := 1 + late/g.interval
		if !g.step(ctx, uint64(ticks)) {
			return
		}
		g.lateness.Observe(late.Seconds())
		due = due.Add(ticks * g.interval)
		timer.Reset(time.Until(due))
	}
}

// step has that many ticks pass and tells the players. It reports whether there are any.
func (g *Game) step(ctx context.Context, ticks uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.players) == 0 {
		return false
	}
	g.tick += ticks
	now := &state{tick: g.tick, players: make(map[uint32]place, len(g.players))}
	for _, p := range g.players {
		p.move(int(min(ticks, uint64(g.cfg.Rate))) * g.stride)
		now.players[p.id] = p.place
	}
	g.states.add(now)
	g.tell(ctx, now)
	return true
}

// move goes that far where the player heads, until the end of the arena.
func (p *player) move(units int) {
	p.x = min(max(0, p.x+p.headX*units), width)
	p.y = min(max(0, p.y+p.headY*units), height)
}

// tell hands each player the difference to what it has. Those who have the same share one frame.
func (g *Game) tell(ctx context.Context, now *state) {
	_, b := g.cfg.Observer.BeginBroadcast(ctx)
	frames := make(map[uint64]*wire.Frame, 1)
	var failed error
	for _, p := range g.players {
		if !p.due(now.tick, uint64(g.cfg.Rate)) {
			continue
		}
		base := g.states.at(p.acked)
		var tick uint64
		if base != nil {
			tick = base.tick
		}
		f := frames[tick]
		if f == nil {
			if f, failed = wire.NewFrame(wire.TypeGameState, "", now.since(base)); failed != nil {
				break
			}
			f.Key, f.Supersedes = key, true
			frames[tick] = f
		}
		p.sent = now.tick
		p.peer.Deliver(f, b)
	}
	b.End(failed)
}

// due reports whether the player gets the state of a tick: not while it has acknowledged none of a second, except for
// one in each.
func (p *player) due(tick, rate uint64) bool {
	return p.sent < max(p.acked, p.joined)+rate || tick >= p.sent+rate
}
