package load

import (
	"errors"
	"time"

	"github.com/sockscope/sockscope/demo/use/market"
)

var errIncomplete = errors.New("the batch has not each tick of each symbol")

// whole reports what is wrong within a batch: it must have each number for each symbol.
func whole(b *market.Batch) error {
	if b.LastSeq < b.FirstSeq || b.LastSeq-b.FirstSeq >= uint64(len(b.Ticks)) {
		return errIncomplete
	}
	numbers := int(b.LastSeq - b.FirstSeq + 1)
	symbols := len(b.Ticks) / numbers
	if symbols*numbers != len(b.Ticks) {
		return errIncomplete
	}
	for i, tick := range b.Ticks {
		if tick.Seq != b.FirstSeq+uint64(i/symbols) {
			return errIncomplete
		}
	}
	return nil
}

// tick takes a batch of prices, which must continue the previous one. Ticks that the market says it has left out are
// not a fault of the delivery.
func (p *peer) tick(b *market.Batch, now time.Time) {
	r := p.group.run
	t := r.tally
	if p.group.Does != Feed {
		t.note(&t.strange, "ticks that nobody asked for")
		return
	}
	p.mu.Lock()
	last := p.lastTick
	p.lastTick, p.ticked = max(last, b.LastSeq), true
	p.mu.Unlock()
	r.market.reach(b.LastSeq)
	t.batches.Add(1)
	switch expected := last + 1 + b.Skipped; {
	case last == 0 || b.FirstSeq == expected:
		t.feed.record(now.Sub(b.Ticks[len(b.Ticks)-1].Time))
	case p.group.lenient():
		t.expect("batch of ticks missed by slow or vanished reader", 1)
	case b.FirstSeq > expected:
		t.ticksMissing.Add(int64(b.FirstSeq - expected))
	default:
		t.ticksDisturbed.Add(1)
	}
}

// checkFeed checks at the end of the run whether the peer has got the same ticks as others.
func (p *peer) checkFeed(lastTick uint64) {
	if p.group.Does != Feed || p.group.lenient() {
		return
	}
	t := p.group.run.tally
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.ticked:
		t.note(&t.strange, "subscription to which nothing came")
	case p.lastTick > 0 && p.lastTick < lastTick:
		t.ticksMissing.Add(int64(lastTick - p.lastTick))
	}
}
