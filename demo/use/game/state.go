package game

import (
	"cmp"
	"slices"

	"github.com/sockscope/sockscope/demo/wire"
)

// The arena, in units.
const (
	width, height = 1600, 900
	speed         = 300 // units in a second
)

// Keep is how many newest ticks may be the base of a state: as many states a client keeps.
const Keep = 128

// place is where a player is.
type place struct {
	name string
	x, y int
}

// state is where all players are at a tick. It is not changed once it is made.
type state struct {
	tick    uint64
	players map[uint32]place
}

// since returns what has changed since the state base, or all of the state without one.
func (s *state) since(base *state) wire.GameStatePayload {
	if base == nil {
		base = new(state)
	}
	p := wire.GameStatePayload{Tick: s.tick, Base: base.tick}
	for id, now := range s.players {
		before, known := base.players[id]
		switch {
		case !known:
			p.Players = append(p.Players, wire.GamePlayer{ID: id, Name: now.name, X: now.x, Y: now.y})
		case before != now:
			p.Players = append(p.Players, wire.GamePlayer{ID: id, X: now.x, Y: now.y})
		}
	}
	for id := range base.players {
		if _, here := s.players[id]; !here {
			p.Gone = append(p.Gone, id)
		}
	}
	slices.SortFunc(p.Players, func(a, b wire.GamePlayer) int { return cmp.Compare(a.ID, b.ID) })
	slices.Sort(p.Gone)
	return p
}

// states are those of the newest ticks.
type states struct {
	newest uint64
	kept   [Keep]*state
}

func (s *states) add(newest *state) {
	s.newest = newest.tick
	s.kept[newest.tick%Keep] = newest
}

// at returns the state of a tick, nil if that is not kept any more.
func (s *states) at(tick uint64) *state {
	if kept := s.kept[tick%Keep]; kept != nil && kept.tick == tick && tick+Keep > s.newest {
		return kept
	}
	return nil
}
