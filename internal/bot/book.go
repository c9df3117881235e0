package bot

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/sockscope/sockscope/demo/use/market"
)

// book is what the bot holds of the market. It is brought up to date by one goroutine, and looked at by others.
type book struct {
	mu      sync.Mutex
	held    market.Snapshot
	truth   *market.Snapshot // to compare with when the ticks have come to its number
	drifted bool             // found since the last restore
	checked uint64           // how often it was compared
}

// restore replaces what is held, and says whether it was wrong. What is held for an older number can't be compared,
// except that volumes never shrink.
func (b *book) restore(truth market.Snapshot) (drifted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	drifted = b.drifted
	if b.held.Seq == truth.Seq && b.difference(truth) != nil {
		drifted = true
	}
	if b.held.Seq < truth.Seq {
		for symbol, q := range b.held.Quotes {
			drifted = drifted || truth.Quotes[symbol].Volume < q.Volume
		}
	}
	truth.Quotes = maps.Clone(truth.Quotes) // they are written to
	b.held, b.truth, b.drifted = truth, nil, false
	return drifted
}

// compareWith has what is held compared with the truth as soon as both are of the same number.
func (b *book) compareWith(truth market.Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if truth.Seq >= b.held.Seq { // else the ticks have gone by it
		b.truth = &truth
	}
}

// apply takes the ticks that are not contained in what is held, and returns them. It fails if what is held turns out to
// be wrong.
func (b *book) apply(ticks []market.Tick) (fresh []market.Tick, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(ticks) > 0 && ticks[0].Seq <= b.held.Seq {
		ticks = ticks[1:] // part of a batch in whose middle the snapshot was taken
	}
	for _, t := range ticks {
		if b.truth != nil && t.Seq > b.truth.Seq {
			if err := b.compare(); err != nil {
				return nil, err
			}
		}
		q, ok := b.held.Quotes[t.Symbol]
		if !ok {
			b.drifted = true
			return nil, fmt.Errorf("a tick of %q, which the snapshot does not have", t.Symbol)
		}
		b.held.Quotes[t.Symbol] = market.Quote{Price: t.Price, Volume: q.Volume + t.Size}
		b.held.Seq, b.held.Time = t.Seq, t.Time
	}
	return ticks, nil
}

// compare compares what is held with the truth, which is of the same number.
func (b *book) compare() error {
	err := b.difference(*b.truth)
	b.truth = nil
	b.checked++
	b.drifted = b.drifted || err != nil
	return err
}

// difference returns an error that says where what is held is not the truth.
func (b *book) difference(truth market.Snapshot) error {
	if len(b.held.Quotes) != len(truth.Quotes) {
		return fmt.Errorf("drift: %d symbols are held, there are %d", len(b.held.Quotes), len(truth.Quotes))
	}
	for symbol, q := range truth.Quotes {
		if held := b.held.Quotes[symbol]; held != q {
			return fmt.Errorf("drift: at %d %s is held at %d cents and a volume of %d, it is at %d and %d",
				truth.Seq, symbol, held.Price, held.Volume, q.Price, q.Volume)
		}
	}
	return nil
}

// state returns the number and the time of the newest tick that is held, 0 before the first, and how often what is held
// was compared with the truth.
func (b *book) state() (seq uint64, at time.Time, checked uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held.Seq, b.held.Time, b.checked
}
