package market

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// record runs the market for some time and returns its batches and when they were published. It is to be called in a
// bubble.
func record(t *testing.T, m *Market, every, lasting time.Duration, published func(i int)) (batches []Batch, at []time.Time) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), lasting)
	defer cancel()
	m.Run(ctx, every, func(b Batch) {
		batches = append(batches, b)
		at = append(at, time.Now())
		if published != nil {
			published(len(batches))
		}
	})
	return batches, at
}

func TestRunPublishesAtTheEndOfEachWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMarket(t, Config{Symbols: []string{"ACME", "STARK"}, Interval: 500 * time.Millisecond})
		start := time.Now() // on a whole second
		time.Sleep(700 * time.Millisecond)
		got, at := record(t, m, 0, 2*time.Second, nil)
		n := m.At(start)
		want := []Batch{
			{FirstSeq: n + 1, LastSeq: n + 2, Ticks: []Tick{
				m.Tick("ACME", n+1), m.Tick("STARK", n+1), m.Tick("ACME", n+2), m.Tick("STARK", n+2),
			}},
			{FirstSeq: n + 3, LastSeq: n + 4, Ticks: []Tick{
				m.Tick("ACME", n+3), m.Tick("STARK", n+3), m.Tick("ACME", n+4), m.Tick("STARK", n+4),
			}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]time.Time{start.Add(time.Second), start.Add(2 * time.Second)}, at); diff != "" {
			t.Errorf("published at (-want +got):\n%s", diff)
		}
	})
}

// TestRunDoesNotDrift lets every batch take time to publish: the windows stay where they are.
func TestRunDoesNotDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMarket(t, Config{})
		_, at := record(t, m, time.Second, time.Minute, func(int) { time.Sleep(333 * time.Millisecond) })
		if len(at) != 59 && len(at) != 60 {
			t.Errorf("%d batches in a minute", len(at))
		}
		for _, t1 := range at {
			if t1.Nanosecond() != 0 {
				t.Fatalf("published at %v, want it on the second", t1)
			}
		}
	})
}

// TestBatchesAreContiguousAndComeToTheSnapshot runs markets of many kinds with consumers that dawdle, and adds up what
// they publish.
func TestBatchesAreContiguousAndComeToTheSnapshot(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		interval := time.Duration(1+rnd.IntN(300)) * time.Millisecond
		every := time.Duration(20+rnd.IntN(2000)) * time.Millisecond
		begin := time.Duration(rnd.IntN(5000)) * time.Millisecond
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(begin)
			m := newMarket(t, Config{Symbols: []string{"ACME", "STARK"}, Interval: interval})
			f := m.newFeed(every, time.Now())
			held := m.snapshot(f.next-1, m.symbols)
			batches, _ := record(t, m, every, 20*every, func(int) {
				time.Sleep(time.Duration(rnd.Int64N(int64(3 * every))))
			})
			if len(batches) == 0 && 20*every > 2*interval {
				t.Fatal("nothing was published")
			}
			for _, b := range batches {
				if b.FirstSeq != held.Seq+1 || b.Skipped != 0 {
					t.Fatalf("interval %v, every %v: batch %d–%d, skipped %d, after %d",
						interval, every, b.FirstSeq, b.LastSeq, b.Skipped, held.Seq)
				}
				for _, tick := range b.Ticks {
					held.Quotes[tick.Symbol] = Quote{Price: tick.Price, Volume: held.Quotes[tick.Symbol].Volume + tick.Size}
					held.Seq, held.Time = tick.Seq, tick.Time
				}
				if held.Seq != b.LastSeq {
					t.Fatalf("the last tick is %d, want %d", held.Seq, b.LastSeq)
				}
				if diff := cmp.Diff(m.Snapshot(held.Time), held); diff != "" {
					t.Fatalf("the batches don't come to the snapshot (-snapshot +batches):\n%s", diff)
				}
			}
		})
	}
}

func TestFeedWhenTheClockJumps(t *testing.T) {
	m := newMarket(t, Config{Symbols: []string{"ACME"}})
	type step struct {
		at                   time.Duration // since the start
		first, last, skipped uint64        // since the start; all 0: nothing is published
	}
	for name, steps := range map[string][]step{
		"regular":         {{1 * time.Second, 1, 10, 0}, {2 * time.Second, 11, 20, 0}},
		"within a window": {{1 * time.Second, 1, 10, 0}, {1900 * time.Millisecond, 0, 0, 0}},
		"late":            {{1700 * time.Millisecond, 1, 10, 0}, {2100 * time.Millisecond, 11, 20, 0}},
		"two windows":     {{2900 * time.Millisecond, 1, 20, 0}},
		"five windows":    {{1 * time.Second, 1, 10, 0}, {6 * time.Second, 11, 60, 0}},
		"six windows":     {{1 * time.Second, 1, 10, 0}, {7 * time.Second, 21, 70, 10}, {8 * time.Second, 71, 80, 0}},
		"a year":          {{365 * 24 * time.Hour, 315359951, 315360000, 315359950}},
		"back": {
			{3 * time.Second, 1, 30, 0}, {1 * time.Second, 0, 0, 0}, {3 * time.Second, 0, 0, 0}, {4 * time.Second, 31, 40, 0},
		},
		"back before the start": {{-time.Hour, 0, 0, 0}, {time.Second, 1, 10, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
			f := m.newFeed(time.Second, start.Add(50*time.Millisecond))
			zero := m.At(start)
			for _, s := range steps {
				b, ok := f.batch(start.Add(s.at))
				if !ok {
					if s.last != 0 {
						t.Errorf("after %v: nothing is published", s.at)
					}
					continue
				}
				if uint64(len(b.Ticks)) != b.LastSeq-b.FirstSeq+1 {
					t.Errorf("after %v: %d ticks from %d to %d", s.at, len(b.Ticks), b.FirstSeq, b.LastSeq)
				}
				if got := (step{s.at, b.FirstSeq - zero, b.LastSeq - zero, b.Skipped}); got != s {
					t.Errorf("got %+v, want %+v", got, s)
				}
			}
		})
	}
}

func BenchmarkBatch(b *testing.B) {
	m := newMarket(b, Config{})
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	f := m.newFeed(time.Second, now)
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Second)
		if batch, ok := f.batch(now); !ok || len(batch.Ticks) != 80 {
			b.Fatal("no batch of 80 ticks")
		}
	}
}
