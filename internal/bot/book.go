package bot

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/sockscope/sockscope/demo/use/market"
)

// book is the bot's view of the market. One goroutine updates it, and others read it.
type book struct {
	mu      sync.Mutex
	held    market.Snapshot
	truth   *market.Snapshot // to compare with when the ticks have come to its number
	drifted bool             // found since the last restore
	checked uint64           // how often it was compared
}

// restore replaces the held state, and says whether it was wrong. A state of an older number can't be compared, except
// that volumes never shrink.
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

// compareWith compares the held state with the truth as soon as both have the same number.
func (b *book) compareWith(truth market.Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if truth.Seq >= b.held.Seq { // otherwise the held state is newer
		b.truth = &truth
	}
}

// apply applies the ticks that the held state does not contain yet, and returns them. It fails if the held state turns
// out to be wrong.
func (b *book) apply(ticks []market.Tick) (fresh []market.Tick, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(ticks) > 0 && ticks[0].Seq <= b.held.Seq {
		ticks = ticks[1:] // the snapshot was taken in the middle of a batch
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

// compare compares the held state with the truth of the same number.
func (b *book) compare() error {
	err := b.difference(*b.truth)
	b.truth = nil
	b.checked++
	b.drifted = b.drifted || err != nil
	return err
}

// difference returns an error that says where the held state differs from the truth.
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

// state returns the number and the time of the newest held tick, 0 before the first, and how often the held state was
// compared with the truth.
func (b *book) state() (seq uint64, at time.Time, checked uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held.Seq, b.held.Time, b.checked
}
