package bot

import (
	"fmt"
	"maps"
	"math"
	"sync"

	"github.com/sockscope/sockscope/demo/use/market"
)

// Rule is the rule by which the bot trades. It holds at most one lot of each symbol. It buys when the price is below
// its moving average by more than the edge, and sells when the price is above by as much.
type Rule struct {
	Window int     // ticks that the average is over, and that are watched before the first trade; default 100
	Edge   float64 // share of the price; default 0.002
	Lot    int64   // how many are bought at once; default 10
}

// trader follows the rule. It is used by one goroutine, except for result.
type trader struct {
	rule     Rule
	averages map[string]*average

	mu        sync.Mutex
	prices    map[string]int64 // newest, in cents
	positions map[string]int64 // how many are held
	cash      int64            // in cents, less than nothing while something is held
	trades    int
}

// average is a moving one of the prices of one symbol.
type average struct {
	value float64
	ticks int // that it was made of, since the last snapshot
}

func newTrader(r Rule) (*trader, error) {
	if r.Window == 0 {
		r.Window = 100
	}
	if r.Edge == 0 {
		r.Edge = 0.002
	}
	if r.Lot == 0 {
		r.Lot = 10
	}
	if r.Window < 1 || r.Lot < 1 || !(r.Edge > 0 && r.Edge < 1) {
		return nil, fmt.Errorf("a window of %d ticks, an edge of %v and a lot of %d: "+
			"give 1 or more, between 0 and 1, and 1 or more", r.Window, r.Edge, r.Lot)
	}
	return &trader{rule: r, prices: map[string]int64{}, positions: map[string]int64{}}, nil
}

// restore restarts the averages, because the prices in between are unknown.
func (t *trader) restore(s market.Snapshot) {
	t.averages = make(map[string]*average, len(s.Quotes))
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.prices, func(symbol string, _ int64) bool { return t.positions[symbol] == 0 })
	for symbol, q := range s.Quotes {
		t.averages[symbol] = &average{value: float64(q.Price)}
		t.prices[symbol] = q.Price
	}
}

// watch takes note of prices, of symbols that the snapshot has.
func (t *trader) watch(ticks []market.Tick) {
	weight := 2 / float64(t.rule.Window+1)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, tick := range ticks {
		a := t.averages[tick.Symbol]
		a.value += (float64(tick.Price) - a.value) * weight
		a.ticks++
		t.prices[tick.Symbol] = tick.Price
	}
}

// act trades at the newest of the ticks, which have been watched.
func (t *trader) act(ticks []market.Tick) []Trade {
	var trades []Trade
	for _, tick := range ticks {
		if tick.Seq != ticks[len(ticks)-1].Seq {
			continue // that price is gone
		}
		if trade, ok := t.decide(tick); ok {
			trades = append(trades, trade)
		}
	}
	return trades
}

func (t *trader) decide(tick market.Tick) (Trade, bool) {
	a := t.averages[tick.Symbol]
	away := float64(tick.Price)/a.value - 1
	if a.ticks < t.rule.Window || math.Abs(away) <= t.rule.Edge {
		return Trade{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	held := t.positions[tick.Symbol]
	quantity := -held // all there is, where the price is above
	if away < 0 {
		quantity = t.rule.Lot - held
	}
	if quantity == 0 {
		return Trade{}, false
	}
	if t.positions[tick.Symbol] += quantity; t.positions[tick.Symbol] == 0 {
		delete(t.positions, tick.Symbol)
	}
	t.cash -= quantity * tick.Price
	t.trades++
	return Trade{Symbol: tick.Symbol, Quantity: quantity, Price: tick.Price, Seq: tick.Seq}, true
}

// result returns how many trades there were, and what they have brought, at the prices of now.
func (t *trader) result() (trades int, profit int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	profit = t.cash
	for symbol, quantity := range t.positions {
		profit += quantity * t.prices[symbol]
	}
	return t.trades, profit
}
