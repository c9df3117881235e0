package bot

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/demo/use/market"
)

// TestTrader plays prices of one symbol, a batch at a time.
func TestTrader(t *testing.T) {
	trader, err := newTrader(Rule{Window: 3, Edge: 0.1, Lot: 5})
	if err != nil {
		t.Fatal(err)
	}
	quotes := func(price int64) market.Snapshot {
		return market.Snapshot{Seq: 1, Quotes: map[string]market.Quote{"ONE": {Price: price}}}
	}
	trader.restore(quotes(1000))
	seq := uint64(0)
	batch := func(prices ...int64) []Trade {
		var ticks []market.Tick
		for _, p := range prices {
			seq++
			ticks = append(ticks, market.Tick{Symbol: "ONE", Seq: seq, Price: p, Size: 1})
		}
		trader.watch(ticks)
		return trader.act(ticks)
	}
	for i, step := range []struct {
		prices []int64
		want   []Trade
	}{
		{[]int64{1000, 700}, nil}, // too little was seen yet
		{[]int64{500, 1000}, nil}, // only the newest price can be had
		{[]int64{600}, []Trade{{"ONE", 5, 600, 5}}},
		{[]int64{400}, nil}, // no more than a lot
		{[]int64{500}, nil}, // within the edge: the average is 525 by now
		{[]int64{900}, []Trade{{"ONE", -5, 900, 8}}},
		{[]int64{2000}, nil}, // nothing to sell
	} {
		if diff := cmp.Diff(step.want, batch(step.prices...)); diff != "" {
			t.Errorf("step %d at an average of %v (-want +got):\n%s", i, trader.averages["ONE"].value, diff)
		}
	}
	if trades, profit := trader.result(); trades != 2 || profit != 5*(900-600) {
		t.Errorf("%d trades have brought %d, want 2 and 1500", trades, profit)
	}

	trader.restore(quotes(1)) // what was seen before counts no more
	if got := batch(1, 1); got != nil {
		t.Errorf("traded right after a restore: %v", got)
	}
	if _, profit := trader.result(); profit != 1500 {
		t.Errorf("profit is %d, want it to stay", profit)
	}
}

// TestTraderForgets has symbols come and go, of which it keeps no more than it has to.
func TestTraderForgets(t *testing.T) {
	trader, err := newTrader(Rule{})
	if err != nil {
		t.Fatal(err)
	}
	trader.positions["held"] = 1
	for _, s := range []string{"held", "a", "b", "c"} {
		trader.restore(market.Snapshot{Seq: 1, Quotes: map[string]market.Quote{s: {Price: 100}}})
	}
	if diff := cmp.Diff(map[string]int64{"held": 100, "c": 100}, trader.prices); diff != "" {
		t.Errorf("prices (-want +got):\n%s", diff)
	}
	if _, profit := trader.result(); profit != 100 {
		t.Errorf("what is held is worth %d, want 100", profit)
	}
}
