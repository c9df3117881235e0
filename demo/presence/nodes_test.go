package presence

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestUserOnTwoNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(bus)
		one, two := b.start(t, "one"), b.start(t, "two")
		one.enter(t, "lobby", "Ada")
		two.enter(t, "lobby", "Ben")
		pass(soon)
		two.enter(t, "lobby", "Ada")
		pass(soon)
		one.Leave("lobby", "Ada")
		pass(soon)
		for _, n := range b.nodes {
			n.want(t, map[string][]string{"lobby": {"Ada", "Ben"}})
		}
		if diff := cmp.Diff([]Change{{"lobby", "Ada", true}, {"lobby", "Ben", true}}, one.told()); diff != "" {
			t.Errorf("one was told (-want +got):\n%s", diff)
		}
		two.Leave("lobby", "Ada")
		pass(soon)
		for _, n := range b.nodes {
			n.want(t, map[string][]string{"lobby": {"Ben"}})
		}
		if diff := cmp.Diff([]Change{{"lobby", "Ada", false}}, one.told()); diff != "" {
			t.Errorf("one was told (-want +got):\n%s", diff)
		}
	})
}

func TestNewNodeLearnsWhoIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(bus)
		one, two := b.start(t, "one"), b.start(t, "two")
		one.enter(t, "lobby", "Ada")
		two.enter(t, "cellar", "Ben")
		two.enter(t, "lobby", "Ben")
		pass(time.Minute)
		three := b.start(t, "three")
		three.enter(t, "lobby", "Eve")
		pass(2 * soon)
		for _, n := range b.nodes {
			n.want(t, map[string][]string{"lobby": {"Ada", "Ben", "Eve"}, "cellar": {"Ben"}})
		}
	})
}

func TestGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(bus)
		one, two := b.start(t, "one"), b.start(t, "two")
		one.enter(t, "lobby", "Ada")
		two.enter(t, "lobby", "Ben")
		pass(soon)
		two.stop()
		synctest.Wait() // no time passes
		one.want(t, map[string][]string{"lobby": {"Ada"}})
		if n := one.losses(); n != 1 {
			t.Errorf("one was told of %d losses, want 1", n)
		}

		// An update that two sent before comes late.
		update := message{Version: version, Kind: kindUpdate, Node: two.node, Rev: 1, Entered: map[string][]string{"lobby": {"Ben"}}}
		one.receive(encode(t, update))
		one.want(t, map[string][]string{"lobby": {"Ada"}})

		pass(time.Minute)
		if _, nodes, gone := one.sizes(); nodes != 0 || gone != 0 {
			t.Errorf("%d nodes and %d goodbyes are remembered after a minute", nodes, gone)
		}
	})
}

func TestDeadNodeIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(bus)
		one, two := b.start(t, "one"), b.start(t, "two")
		one.enter(t, "lobby", "Ada")
		two.enter(t, "lobby", "Ada", "Ben")
		pass(time.Minute)
		one.told()
		two.die()
		pass(9 * time.Second)
		one.want(t, map[string][]string{"lobby": {"Ada", "Ben"}})
		if n := one.losses(); n != 0 {
			t.Errorf("one was told of %d losses before", n)
		}
		pass(6*time.Second + soon)
		one.want(t, map[string][]string{"lobby": {"Ada"}})
		if n := one.losses(); n != 1 {
			t.Errorf("one was told of %d losses, want 1", n)
		}
		if diff := cmp.Diff([]Change{{"lobby", "Ben", false}}, one.told()); diff != "" {
			t.Errorf("one was told (-want +got):\n%s", diff)
		}

		// It starts again under the same name.
		again := b.start(t, "two")
		again.enter(t, "cellar", "Ben")
		pass(soon)
		for _, n := range []*node{one, again} {
			n.want(t, map[string][]string{"lobby": {"Ada"}, "cellar": {"Ben"}})
		}
	})
}

// TestPartition cuts nodes off from each other, shortly or until they have given each other up.
func TestPartition(t *testing.T) {
	for name, lasting := range map[string]time.Duration{"short": 3 * time.Second, "long": time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := new(bus)
				one, two := b.start(t, "one"), b.start(t, "two")
				one.enter(t, "lobby", "Ada", "Ann")
				two.enter(t, "lobby", "Ben", "Bob")
				pass(soon)
				b.move(two, 1)
				one.Leave("lobby", "Ann")
				one.enter(t, "cellar", "Ada")
				two.Leave("lobby", "Bob")
				two.enter(t, "lobby", "Eve")
				pass(lasting)
				if name == "long" {
					one.want(t, map[string][]string{"lobby": {"Ada"}, "cellar": {"Ada"}})
					two.want(t, map[string][]string{"lobby": {"Ben", "Eve"}})
				} else {
					one.want(t, map[string][]string{"lobby": {"Ada", "Ben", "Bob"}, "cellar": {"Ada"}})
					two.want(t, map[string][]string{"lobby": {"Ada", "Ann", "Ben", "Eve"}})
				}
				b.heal()
				one.Resync()
				two.Resync()
				pass(2 * soon)
				for _, n := range b.nodes {
					n.want(t, map[string][]string{"lobby": {"Ada", "Ben", "Eve"}, "cellar": {"Ada"}})
				}
			})
		})
	}
}

// TestHeartbeatsHeal does without Resync.
func TestHeartbeatsHeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(bus)
		one, two := b.start(t, "one"), b.start(t, "two")
		pass(time.Second)
		b.move(two, 1)
		one.enter(t, "lobby", "Ada")
		two.enter(t, "lobby", "Ben")
		pass(time.Second)
		b.heal()
		pass(defaultHeartbeat + soon)
		for _, n := range b.nodes {
			n.want(t, map[string][]string{"lobby": {"Ada", "Ben"}})
		}
	})
}

// TestLastLeaveIsMissed needs a snapshot of nobody.
func TestLastLeaveIsMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(bus)
		one, two := b.start(t, "one"), b.start(t, "two")
		one.enter(t, "lobby", "Ada")
		pass(time.Second)
		b.move(two, 1)
		one.Leave("lobby", "Ada")
		pass(time.Second)
		two.want(t, map[string][]string{"lobby": {"Ada"}})
		b.heal()
		pass(defaultHeartbeat + soon)
		two.want(t, map[string][]string{})
	})
}

// TestBadBusConverges moves users at random over a bus that loses, repeats, delays and cuts off, while nodes die and
// others start. Two heartbeats after the bus has become a good one, all know the same.
func TestBadBusConverges(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 1))
				b := &bus{drop: 0.2, repeat: 0.2, delay: 300 * time.Millisecond, rnd: rand.New(rand.NewPCG(seed, 2))}
				nodes := []*node{b.start(t, "0"), b.start(t, "1"), b.start(t, "2")}
				in := make([]map[membership]int, len(nodes)) // connections
				for i := range in {
					in[i] = make(map[membership]int)
				}
				for step := range 2000 {
					i := rnd.IntN(len(nodes))
					m := membership{fmt.Sprint("room", rnd.IntN(4)), fmt.Sprint("user", rnd.IntN(20))}
					switch dice := rnd.IntN(1000); {
					case dice < 500:
						nodes[i].enter(t, m.room, m.user)
						in[i][m]++
					case dice < 990:
						nodes[i].Leave(m.room, m.user)
						in[i][m] = max(0, in[i][m]-1)
					case dice < 998:
						b.move(nodes[i], rnd.IntN(2))
					case step < 1500: // the last of them have to be given up by the end
						nodes[i].die()
						nodes[i], in[i] = b.start(t, fmt.Sprint(i)), make(map[membership]int)
					}
					pass(time.Duration(rnd.IntN(50)) * time.Millisecond)
				}
				want := make(map[string][]string)
				for i := range in {
					for m, connections := range in[i] {
						if connections > 0 && !slices.Contains(want[m.room], m.user) {
							want[m.room] = append(want[m.room], m.user)
						}
					}
				}
				for _, users := range want {
					slices.Sort(users)
				}
				b.heal()
				pass(2*defaultHeartbeat + soon)
				for _, n := range nodes {
					n.want(t, want)
				}
			})
		})
	}
}

// TestLargeState fills one large room, and as well very many small ones.
func TestLargeState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(bus)
		one, two := b.start(t, "one"), b.start(t, "two")
		const large, small = 10_000, 50_000
		for i := range large {
			one.enter(t, "hall", fmt.Sprintf("user-%05d", i*7919%large))
		}
		for i := range small {
			two.enter(t, fmt.Sprintf("room-%05d", i), "Ada")
		}
		pass(soon)
		late := b.start(t, "late")
		pass(2 * soon)
		for _, n := range b.nodes {
			n.mu.Lock()
			for _, err := range n.errs {
				t.Error(err)
			}
			if len(n.present) != small+large {
				t.Errorf("told of %d, want %d", len(n.present), small+large)
			}
			n.mu.Unlock()
			names, total := n.Users("hall", 3)
			if diff := cmp.Diff([]string{"user-00000", "user-00001", "user-00002"}, names); diff != "" || total != large {
				t.Errorf("%d in the hall, want %d; first (-want +got):\n%s", total, large, diff)
			}
			if rooms, _, _ := n.sizes(); rooms != small+1 {
				t.Errorf("%d rooms, want %d", rooms, small+1)
			}
		}
		if sent := b.sent(); sent > 120 { // 2 MB, told twice
			t.Errorf("%d messages", sent)
		}
		b.mu.Lock()
		if b.largest > maxMessage || b.largest < maxMessage/2 {
			t.Errorf("the largest message has %d bytes, want up to %d", b.largest, maxMessage)
		}
		b.mu.Unlock()
		two.stop()
		synctest.Wait()
		if rooms, _, _ := late.sizes(); rooms != 1 {
			t.Errorf("%d rooms after the goodbye, want the hall", rooms)
		}
	})
}

// TestLostPartsAreMadeGood loses a part of each snapshot: those of one revision complete each other.
func TestLostPartsAreMadeGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(bus)
		one := b.start(t, "one")
		for i := range 20_000 {
			one.enter(t, "hall", fmt.Sprintf("user-%05d", i))
		}
		pass(soon)
		b.mu.Lock()
		b.drop, b.rnd = 0.5, rand.New(rand.NewPCG(1, 2))
		b.mu.Unlock()
		two := b.start(t, "two")
		pass(time.Minute)
		if _, total := two.Users("hall", 0); total != 20_000 {
			t.Errorf("%d in the hall, want 20000", total)
		}
	})
}

// TestPublishFails lets a backplane fail for a while, with an error.
func TestPublishFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(bus)
		two := b.start(t, "two")
		one := b.add(t, Config{})
		broken := true
		one.cfg.Publish = func(ctx context.Context, data []byte) error {
			if broken {
				return errors.New("broken")
			}
			return one.publish(ctx, data)
		}
		one.enter(t, "lobby", "Ada")
		one.flush(t.Context())
		one.Leave("lobby", "Ada")
		one.enter(t, "lobby", "Ben")
		one.flush(t.Context())
		broken = false
		one.Resync()
		one.flush(t.Context()) // two sees a gap
		pass(soon)
		one.flush(t.Context()) // and asked
		two.want(t, map[string][]string{"lobby": {"Ben"}})
	})
}

// TestPublishIsNotRepeatedInVain has much to say over a backplane that is down.
func TestPublishIsNotRepeatedInVain(t *testing.T) {
	calls := 0
	p, err := New(Config{Publish: func(context.Context, []byte) error {
		calls++
		return errors.New("broken")
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10_000 {
		if err := p.Enter(fmt.Sprint("room", i), "Ada"); err != nil {
			t.Fatal(err)
		}
	}
	p.flush(t.Context())
	if calls != 1 {
		t.Errorf("%d calls of Publish, want 1", calls)
	}
}

// TestRunEndsThoughPublishHangs has a Publish that heeds its context only.
func TestRunEndsThoughPublishHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := New(Config{Publish: func(ctx context.Context, _ []byte) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		p.Run(ctx)
		if took := time.Since(start); took != time.Minute+byeTimeout {
			t.Errorf("Run took %v, want %v", took, time.Minute+byeTimeout)
		}
	})
}

// TestQuietNodesAreQuiet counts what an idle node says.
func TestQuietNodesAreQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(bus)
		one := b.start(t, "one")
		one.enter(t, "lobby", strings.Repeat("a", maxName))
		pass(soon)
		b.sent()
		pass(time.Minute)
		if sent := b.sent(); sent != 12 {
			t.Errorf("%d messages in a minute, want 12 heartbeats", sent)
		}
		for range 20 { // comes and goes between two messages
			one.enter(t, "lobby", "Eve")
			one.Leave("lobby", "Eve")
		}
		pass(time.Second)
		if sent := b.sent(); sent != 0 {
			t.Errorf("%d messages of somebody who is gone", sent)
		}
	})
}
