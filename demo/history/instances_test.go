package history_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sockscope/sockscope/demo/history"
)

// TestInstances has instances of a service append to the same rooms at once, while more of them join.
func TestInstances(t *testing.T) {
	for name, tt := range map[string]struct {
		each int
		open func(*testing.T) (join func() history.Store)
	}{
		"redis": {50, func(t *testing.T) func() history.Store {
			newRedis(t, single.client(t), history.Limits{})
			return func() history.Store { return joinRedis(t, single.client(t), history.Limits{}) }
		}},
		"kafka": {25, func(t *testing.T) func() history.Store {
			topic := newTopic(t)
			return func() history.Store { return joinKafka(t, topic, history.Limits{}) }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			join := tt.open(t)
			var mu sync.Mutex
			want := map[string][]history.Message{}
			stores := make([]history.Store, 4)
			var wg sync.WaitGroup
			for i := range stores {
				stores[i] = join()
				for j := range 4 {
					wg.Go(func() {
						for k := range tt.each {
							m := message(fmt.Sprint("room", j%2), fmt.Sprint(i, " ", j, " ", k), "")
							saved, again, err := stores[i].Append(t.Context(), m)
							if err != nil || again {
								t.Errorf("append: again %t, %v", again, err)
							}
							mu.Lock()
							want[m.Room] = append(want[m.Room], saved)
							mu.Unlock()
						}
					})
				}
			}
			wg.Wait()
			for room, want := range want {
				equal(t, "how many were acknowledged", len(stores)*2*tt.each, len(want))
				sortBySeq(want)
				for i, m := range want {
					equal(t, "number", uint64(i+1), m.Seq)
				}
				for _, s := range append(stores, join()) {
					equal(t, "what is kept", want, after(t, s, room, 0, 10000))
				}
			}
		})
	}
}

// TestRestart ends the server twice while everybody appends, each retrying until it is acknowledged.
func TestRestart(t *testing.T) {
	t.Run("redis", func(t *testing.T) {
		s := ownServer(t, "--appendonly", "yes", "--appendfsync", "always")
		newRedis(t, s.client(t), history.Limits{})
		testRestart(t, 6, 60,
			func() history.Store { return joinRedis(t, s.client(t), history.Limits{}) },
			func(store history.Store, m history.Message) (history.Message, error) {
				saved, _, err := store.Append(t.Context(), m)
				return saved, err
			},
			func() {
				s.kill()
				if err := s.start(); err != nil {
					t.Fatal(err)
				}
			})
	})
	t.Run("kafka", func(t *testing.T) {
		b := newBroker(t)
		testRestart(t, 4, 20,
			func() history.Store { return joinKafka(t, b.topic(), history.Limits{}) },
			func(store history.Store, m history.Message) (history.Message, error) {
				return appendInTime(t.Context(), store, m)
			},
			func() {
				b.Close()
				b.start()
			})
	})
}

// testRestart has so many senders append so many messages each, and restarts the server after a quarter and after half
// of them.
func testRestart(
	t *testing.T, senders, each int,
	join func() history.Store, add func(history.Store, history.Message) (history.Message, error), restart func(),
) {
	t.Helper()
	var acknowledged atomic.Int64
	var mu sync.Mutex
	var want []history.Message
	var wg sync.WaitGroup
	for i := range senders {
		store := join()
		wg.Go(func() {
			for j := range each {
				m := message("lobby", fmt.Sprint(i, " ", j), "hello")
				saved, err := add(store, m)
				for err != nil && t.Context().Err() == nil {
					saved, err = add(store, m)
				}
				acknowledged.Add(1)
				mu.Lock()
				want = append(want, saved)
				mu.Unlock()
			}
		})
	}
	for _, n := range []int{senders * each / 4, senders * each / 2} {
		eventually(t, func() string {
			if got := acknowledged.Load(); got < int64(n) {
				return fmt.Sprintf("%d messages acknowledged, want %d", got, n)
			}
			return ""
		})
		restart()
	}
	wg.Wait()
	sortBySeq(want)
	kept := after(t, join(), "lobby", 0, 10000)
	equal(t, "what is kept", want, kept)
	equal(t, "how many are kept", senders*each, len(kept))
	equal(t, "the newest", uint64(senders*each), kept[len(kept)-1].Seq)
}

// appendInTime gives up after a while, as the service does, which its user then takes for a failure.
func appendInTime(ctx context.Context, s history.Store, m history.Message) (history.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	saved, _, err := s.Append(ctx, m)
	return saved, err
}

func sortBySeq(messages []history.Message) {
	slices.SortFunc(messages, func(a, b history.Message) int { return int(a.Seq) - int(b.Seq) })
}
