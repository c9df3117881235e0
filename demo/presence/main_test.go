package presence

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bus joins nodes, as badly as a test wants. The zero value delivers everything at once, to the sender as well.
type bus struct {
	drop, repeat float64       // probabilities
	delay        time.Duration // up to this, at random, so that messages overtake each other

	mu       sync.Mutex
	rnd      *rand.Rand
	nodes    []*node
	messages int
	largest  int
}

// node is a Presence on the bus, with what it was told.
type node struct {
	*Presence
	bus    *bus
	island int // nodes reach those on the same one
	stop   context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	changes []Change
	lost    int
	errs    []error
	present map[membership]bool // as the changes say
}

// start runs a new node. It is stopped at the end of the test.
func (b *bus) start(t *testing.T, name string) *node {
	t.Helper()
	n := b.add(t, Config{Node: name})
	ctx, cancel := context.WithCancel(t.Context())
	n.stop = cancel
	go func() {
		defer close(n.done)
		n.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-n.done
	})
	return n
}

// add puts a node on the bus that doesn't run.
func (b *bus) add(t *testing.T, cfg Config) *node {
	t.Helper()
	n := &node{bus: b, done: make(chan struct{}), present: make(map[membership]bool)}
	cfg.Publish, cfg.Changed, cfg.Lost = n.publish, n.changed, n.lose
	var err error
	if n.Presence, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nodes = append(b.nodes, n)
	return n
}

// die lets a node end without a goodbye.
func (n *node) die() {
	n.bus.move(n, -1)
	n.stop()
	<-n.done
}

// move puts a node on an island; those below zero are deserted.
func (b *bus) move(n *node, island int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n.island = island
}

// heal ends all that is bad, but for what is still under way.
func (b *bus) heal() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop, b.repeat, b.delay = 0, 0, 0
	for _, n := range b.nodes {
		if n.island > 0 {
			n.island = 0
		}
	}
}

// sent returns the number of messages since the last call.
func (b *bus) sent() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	sent := b.messages
	b.messages = 0
	return sent
}

func (n *node) publish(_ context.Context, data []byte) error {
	b := n.bus
	b.mu.Lock()
	b.messages++
	b.largest = max(b.largest, len(data))
	var now []*node
	for _, to := range b.nodes {
		if to.island < 0 || to.island != n.island {
			continue
		}
		for range 2 {
			switch {
			case b.rnd != nil && b.rnd.Float64() < b.drop:
			case b.delay == 0:
				now = append(now, to)
			default:
				time.AfterFunc(time.Duration(b.rnd.Int64N(int64(b.delay))), func() { to.receive(data) })
			}
			if b.rnd == nil || b.rnd.Float64() >= b.repeat {
				break
			}
		}
	}
	b.mu.Unlock()
	for _, to := range now {
		to.receive(data)
	}
	return nil
}

func (n *node) receive(data []byte) {
	if err := n.Receive(data); err != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.errs = append(n.errs, err)
	}
}

func (n *node) changed(c Change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changes = append(n.changes, c)
	m := membership{c.Room, c.User}
	if n.present[m] == c.Joined {
		n.errs = append(n.errs, fmt.Errorf("%+v, which was so before", c))
	}
	if n.present[m] = c.Joined; !c.Joined {
		delete(n.present, m)
	}
}

func (n *node) lose() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lost++
}

// losses returns how often a node was told that others are gone.
func (n *node) losses() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lost
}

// told returns the changes since the last call.
func (n *node) told() []Change {
	n.mu.Lock()
	defer n.mu.Unlock()
	changes := n.changes
	n.changes = nil
	return changes
}

// sizes returns how many rooms, nodes and goodbyes a node keeps.
func (n *node) sizes() (rooms, nodes, gone int) {
	n.Presence.mu.Lock()
	defer n.Presence.mu.Unlock()
	return len(n.rooms), len(n.peers), len(n.gone)
}

// enter lets users enter a room.
func (n *node) enter(t *testing.T, room string, users ...string) {
	t.Helper()
	for _, user := range users {
		if err := n.Enter(room, user); err != nil {
			t.Fatal(err)
		}
	}
}

// want checks who is where as a node knows it and as it was told.
func (n *node) want(t *testing.T, want map[string][]string) {
	t.Helper()
	got, told := make(map[string][]string), make(map[string][]string)
	n.Presence.mu.Lock()
	rooms := slices.Collect(maps.Keys(n.rooms))
	n.Presence.mu.Unlock()
	for _, room := range rooms {
		got[room], _ = n.Users(room, 1<<20)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for m := range n.present {
		told[m.room] = append(told[m.room], m.user)
	}
	for _, users := range told {
		slices.Sort(users)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%.4s knows (-want +got):\n%s", n.node, diff)
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("%.4s was told (-want +got):\n%s", n.node, diff)
	}
	for _, err := range n.errs {
		t.Errorf("%.4s: %v", n.node, err)
	}
}

// pass lets time pass, and what it sets off happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// soon is when a message that nothing delays has arrived.
const soon = 3 * flushEvery
