package load

import (
	"testing"
	"time"
)

func TestConfigCheck(t *testing.T) {
	good := Config{URL: "ws://127.0.0.1:8080/ws", Connections: 10, Rate: 5, Duration: time.Second, Rooms: 3}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"http":              func(c *Config) { c.URL = "http://127.0.0.1:8080/ws" },
		"no host":           func(c *Config) { c.URL = "ws:///ws" },
		"no connections":    func(c *Config) { c.Connections = 0 },
		"no rooms":          func(c *Config) { c.Rooms = 0 },
		"empty rooms":       func(c *Config) { c.Rooms = 11 },
		"no rate":           func(c *Config) { c.Rate = 0 },
		"no time":           func(c *Config) { c.Duration = 0 },
		"too much to count": func(c *Config) { c.Connections, c.Rooms, c.Rate, c.Duration = 10_000, 1, 1000, time.Hour },
	} {
		c := good
		change(&c)
		if err := c.check(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestPlan walks over whole runs: every message has a place of its own in its
// room, within bounds, and its id leads back to it.
func TestPlan(t *testing.T) {
	for _, cfg := range []Config{
		{Connections: 1, Rooms: 1, Rate: 10, Duration: time.Second},
		{Connections: 7, Rooms: 3, Rate: 100, Duration: time.Second},
		{Connections: 10, Rooms: 10, Rate: 33, Duration: time.Second},
		{Connections: 64, Rooms: 5, Rate: 1000, Duration: time.Second},
		{Connections: 100, Rooms: 1, Rate: 3, Duration: time.Second},
	} {
		p, err := newPlan(cfg)
		if err != nil {
			t.Fatal(err)
		}
		members := make([]int, p.rooms)
		for i := range p.n {
			members[p.room(i)]++
		}
		for room, n := range members {
			if p.members(room) != n {
				t.Errorf("%+v: room %d has %d members, counted %d", cfg, room, p.members(room), n)
			}
		}
		taken := make([]once, p.rooms)
		for room := range taken {
			taken[room] = newOnce(p.inRoom(room))
		}
		for k := range p.messages {
			room := p.room(p.sender(k))
			if place := p.place(k); place >= p.inRoom(room) || !taken[room].first(place) {
				t.Fatalf("%+v: message %d has place %d of %d in room %d, which is taken or none", cfg, k, place, p.inRoom(room), room)
			}
			if got, ours := p.index(p.id(k)); !ours || got != k {
				t.Fatalf("%+v: the id of message %d leads to %d, %t", cfg, k, got, ours)
			}
		}
		if _, ours := p.index(p.id(p.messages)); ours {
			t.Errorf("%+v: a message after the last is taken for one of the run", cfg)
		}
	}
}

func TestIndexOfOthers(t *testing.T) {
	cfg := Config{Connections: 1, Rooms: 1, Rate: 10, Duration: time.Second}
	a, err := newPlan(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b, err := newPlan(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", "x", b.id(0)} {
		if _, ours := a.index(id); ours {
			t.Errorf("%q is taken for one of this run", id)
		}
	}
}

func TestDue(t *testing.T) {
	p, err := newPlan(Config{Connections: 3, Rooms: 1, Rate: 100, Duration: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	p.begin(start)
	if got := p.due(50).Sub(start); got != 500*time.Millisecond {
		t.Errorf("message 50 is due after %v, want 500ms", got)
	}
}

func TestReasonsAreBounded(t *testing.T) {
	tally := newTally()
	for i := range 10 * maxReasons {
		tally.note(&tally.strange, string(rune('a'+i)))
	}
	if n := len(tally.reasons); n != maxReasons+1 {
		t.Errorf("%d reasons are kept, want %d and one for the rest", n, maxReasons)
	}
	if tally.strange.Load() != 10*maxReasons {
		t.Errorf("%d counted, want all", tally.strange.Load())
	}
}
