package bot

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/use/market"
)

// at returns a market, and a function that gives its snapshot after a number of ticks.
func at(t *testing.T) (*market.Market, func(seq uint64) market.Snapshot) {
	t.Helper()
	m, err := market.New(market.Config{Symbols: []string{"ONE", "TWO"}, Interval: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return m, func(seq uint64) market.Snapshot { return m.Snapshot(time.Unix(int64(seq), 0)) }
}

func ticks(m *market.Market, first, last uint64) []market.Tick {
	var all []market.Tick
	for n := first; n <= last; n++ {
		for _, s := range m.Symbols() {
			all = append(all, m.Tick(s, n))
		}
	}
	return all
}

// TestBook brings a snapshot up to date by batches, the first of which it contains in part.
func TestBook(t *testing.T) {
	m, snapshot := at(t)
	var b book
	truth := snapshot(1005)
	if b.restore(truth) {
		t.Error("drifted from nothing")
	}
	for _, batch := range []struct{ first, last, fresh uint64 }{{1001, 1010, 5}, {1001, 1010, 0}, {1011, 1020, 10}} {
		fresh, err := b.apply(ticks(m, batch.first, batch.last))
		if err != nil || uint64(len(fresh)) != batch.fresh*2 {
			t.Errorf("%d to %d: %d ticks are new (%v), want %d", batch.first, batch.last, len(fresh), err, batch.fresh*2)
		}
	}
	if diff := cmp.Diff(snapshot(1020), b.held); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(snapshot(1005), truth); diff != "" {
		t.Errorf("the snapshot was written to (-want +got):\n%s", diff)
	}
}

func TestDrift(t *testing.T) {
	m, snapshot := at(t)
	wrong := func(s market.Snapshot, price, volume int64) market.Snapshot {
		s.Quotes = maps.Clone(s.Quotes)
		q := s.Quotes["TWO"]
		s.Quotes["TWO"] = market.Quote{Price: q.Price + price, Volume: q.Volume + volume}
		return s
	}
	less := snapshot(1015)
	delete(less.Quotes, "ONE")
	for name, tc := range map[string]struct {
		compare *market.Snapshot // before the ticks from 1011 to 1020
		checked uint64
		err     bool
		restore market.Snapshot // after them
		drifted bool
	}{
		"none":                   {nil, 0, false, snapshot(1030), false},
		"the same at the start":  {ptr(snapshot(1010)), 1, false, snapshot(1020), false},
		"the same in the middle": {ptr(snapshot(1015)), 1, false, snapshot(1020), false},
		"not yet to be compared": {ptr(wrong(snapshot(1020), 1, 0)), 0, false, snapshot(1030), false},
		"gone by":                {ptr(wrong(snapshot(1009), 1, 0)), 0, false, snapshot(1030), false},
		"another price":          {ptr(wrong(snapshot(1015), 1, 0)), 1, true, snapshot(1030), true},
		"another volume":         {ptr(wrong(snapshot(1010), 0, -1)), 1, true, snapshot(1030), true},
		"another symbol":         {&less, 1, true, snapshot(1030), true},
		"restored to another":    {nil, 0, false, wrong(snapshot(1020), 0, 1), true},
		"volume that has shrunk": {nil, 0, false, wrong(snapshot(1021), 0, -1000), true},
		"an older snapshot":      {nil, 0, false, snapshot(1000), false},
	} {
		var b book
		b.restore(snapshot(1010))
		if tc.compare != nil {
			b.compareWith(*tc.compare)
		}
		if _, err := b.apply(ticks(m, 1011, 1020)); (err != nil) != tc.err {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, checked := b.state(); checked != tc.checked {
			t.Errorf("%s: compared %d times, want %d", name, checked, tc.checked)
		}
		if drifted := b.restore(tc.restore); drifted != tc.drifted {
			t.Errorf("%s: drifted is %t, want %t", name, drifted, tc.drifted)
		}
		if b.restore(snapshot(1040)) {
			t.Errorf("%s: what was restored counts as drift again", name)
		}
	}
}

func ptr[T any](v T) *T { return &v }
