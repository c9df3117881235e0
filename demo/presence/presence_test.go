package presence

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNewRefuses(t *testing.T) {
	publish := func(context.Context, []byte) error { return nil }
	for name, tc := range map[string]struct {
		cfg  Config
		want string // part of the error
	}{
		"no Publish":     {Config{}, "Publish is missing"},
		"long Node":      {Config{Publish: publish, Node: strings.Repeat("n", 65)}, "Node is longer than 64 bytes"},
		"dies too early": {Config{Publish: publish, DeadAfter: 5 * time.Second}, "DeadAfter is 5s, it has to be longer than Heartbeat, 5s"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(tc.cfg); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestConnectionsAreCounted(t *testing.T) {
	n := new(bus).add(t, Config{})
	n.enter(t, "lobby", "Ben", "Ada", "Ada")
	n.enter(t, "cellar", "Ada")
	n.Leave("lobby", "Ada")
	n.Leave("lobby", "Eve") // was never there
	n.want(t, map[string][]string{"lobby": {"Ada", "Ben"}, "cellar": {"Ada"}})
	n.Leave("lobby", "Ada")
	n.Leave("lobby", "Ada") // once too often
	n.enter(t, "lobby", "Ada")
	n.Leave("cellar", "Ada")
	n.want(t, map[string][]string{"lobby": {"Ada", "Ben"}})
	want := []Change{
		{"lobby", "Ben", true}, {"lobby", "Ada", true}, {"cellar", "Ada", true},
		{"lobby", "Ada", false}, {"lobby", "Ada", true}, {"cellar", "Ada", false},
	}
	if diff := cmp.Diff(want, n.told()); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestUsersLimit(t *testing.T) {
	n := new(bus).add(t, Config{})
	n.enter(t, "lobby", "Eve", "Ada", "Ben")
	for limit, want := range map[int][]string{
		-1: {}, 0: {}, 2: {"Ada", "Ben"}, 3: {"Ada", "Ben", "Eve"}, 100: {"Ada", "Ben", "Eve"},
	} {
		names, total := n.Users("lobby", limit)
		if diff := cmp.Diff(want, names); diff != "" || total != 3 {
			t.Errorf("limit %d: total %d, want 3; names (-want +got):\n%s", limit, total, diff)
		}
	}
	if names, total := n.Users("nowhere", 10); len(names) != 0 || total != 0 {
		t.Errorf("%v, %d in a room that is not there", names, total)
	}
}

func TestEnterRefuses(t *testing.T) {
	n := new(bus).add(t, Config{MaxMembers: 2})
	long := strings.Repeat("x", maxName+1)
	for _, m := range []membership{{"", "Ada"}, {"lobby", ""}, {long, "Ada"}, {"lobby", long}, {"\xff", "Ada"}, {"lobby", "\xff"}} {
		if err := n.Enter(m.room, m.user); err == nil {
			t.Errorf("%.20q may enter %.20q", m.user, m.room)
		}
	}
	n.enter(t, "lobby", "Ada", long[1:])
	if err := n.Enter("lobby", "Eve"); !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "MaxMembers is 2") {
		t.Errorf("one too many: %v, want ErrFull", err)
	}
	n.enter(t, "lobby", "Ada") // one more connection
	n.Leave("lobby", long[1:])
	n.enter(t, "lobby", "Eve")
	n.want(t, map[string][]string{"lobby": {"Ada", "Eve"}})
}

// TestCallbacksMayCallBack calls everything from Changed and from Publish.
func TestCallbacksMayCallBack(t *testing.T) {
	var p *Presence
	var told []Change
	p, err := New(Config{
		Publish: func(_ context.Context, data []byte) error {
			p.Users("lobby", 1)
			p.Resync()
			return p.Receive(data)
		},
		Changed: func(c Change) {
			told = append(told, c)
			p.Users(c.Room, 1)
			if c.User == "Ada" && c.Joined {
				if err := p.Enter("lobby", "echo"); err != nil {
					t.Error(err)
				}
				p.Leave("lobby", "Ada")
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Enter("lobby", "Ada"); err != nil {
		t.Fatal(err)
	}
	want := []Change{{"lobby", "Ada", true}, {"lobby", "echo", true}, {"lobby", "Ada", false}}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	p.flush(t.Context())
}

func TestChangedMayPanic(t *testing.T) {
	var told []Change
	p, err := New(Config{
		Publish: func(context.Context, []byte) error { return nil },
		Changed: func(c Change) {
			told = append(told, c)
			if c.User == "Eve" {
				panic("Eve")
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = p.Enter("lobby", "Eve")
	}()
	if err := p.Enter("lobby", "Ada"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Change{{"lobby", "Eve", true}, {"lobby", "Ada", true}}, told); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// TestChangesComeOneAtATime holds one change up: another waits for it, but nobody who makes one does.
func TestChangesComeOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold, told := make(chan struct{}), make(chan string, 2)
		p, err := New(Config{
			Publish: func(context.Context, []byte) error { return nil },
			Changed: func(c Change) {
				if c.User == "slow" {
					<-hold
				}
				told <- c.User
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = p.Enter("lobby", "slow") }()
		synctest.Wait()
		if err := p.Enter("lobby", "Ada"); err != nil {
			t.Fatal(err)
		}
		if len(told) != 0 {
			t.Errorf("told of %s meanwhile", <-told)
		}
		close(hold)
		if first, second := <-told, <-told; first != "slow" || second != "Ada" {
			t.Errorf("told of %s, then %s", first, second)
		}
	})
}

// TestChangesComeInOrder lets many goroutines enter and leave at once, while messages come in. The recording node
// notices a change that doesn't follow from the one before.
func TestChangesComeInOrder(t *testing.T) {
	b := new(bus)
	n, other := b.add(t, Config{}), b.add(t, Config{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 200 {
				user := fmt.Sprint("user", i%4)
				if err := n.Enter("lobby", user); err != nil {
					t.Error(err)
				}
				n.Leave("lobby", user)
			}
		})
	}
	wg.Go(func() {
		for range 200 {
			if err := other.Enter("lobby", "user0"); err != nil {
				t.Error(err)
			}
			other.flush(t.Context())
			other.Leave("lobby", "user0")
			other.flush(t.Context())
		}
	})
	wg.Go(func() {
		for range 200 {
			n.flush(t.Context())
		}
	})
	wg.Wait()
	n.flush(t.Context())
	n.want(t, map[string][]string{})
	other.want(t, map[string][]string{})
}
