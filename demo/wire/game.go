package wire

// GameInputPayload is what a player does: X and Y are -1, 0 or 1 and say where to go until the next input. Ack is the
// tick of the newest state that has come, 0 if none has. States are the difference to that one from then on.
type GameInputPayload struct {
	X   int    `json:"x"`
	Y   int    `json:"y"`
	Ack uint64 `json:"ack,omitempty"`
}

// GamePayload tells a player of the game that it has joined.
type GamePayload struct {
	Player uint32 `json:"player"` // its own
	Rate   int    `json:"rate"`   // ticks in a second
	Width  int    `json:"width"`  // of the arena, in units
	Height int    `json:"height"`
	Keep   int    `json:"keep"` // of how many newest ticks one may be a base
}

// GameStatePayload is where the players are at a tick: those that have moved since the tick Base or are new since, and
// those that are gone. With Base 0 it is all of them.
type GameStatePayload struct {
	Tick    uint64       `json:"tick"`
	Base    uint64       `json:"base,omitempty"`
	Players []GamePlayer `json:"players,omitempty"`
	Gone    []uint32     `json:"gone,omitempty"`
}

// GamePlayer is where a player is. A player that is new has its name as well.
type GamePlayer struct {
	ID   uint32 `json:"id"`
	Name string `json:"name,omitempty"`
	X    int    `json:"x"`
	Y    int    `json:"y"`
}

// GameInput returns the payload of a game_input.
func (e *Envelope) GameInput() (GameInputPayload, error) {
	var p GameInputPayload
	err := e.payload(&p, func() error {
		if p.X < -1 || p.X > 1 || p.Y < -1 || p.Y > 1 {
			return problem(CodeBadPayload, "x and y have to be -1, 0 or 1")
		}
		return nil
	})
	return p, err
}
