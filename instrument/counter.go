package instrument

import (
	"sync/atomic"
)

// cacheLine is the size of the memory that processors take from each other when one of them writes.
const cacheLine = 64

// counters are two counters that connections of different shards move without waiting for each other. A shard's memory,
// one cache line, is allocated at the shard's first event.
type counters []atomic.Pointer[counterShard]

type counterShard struct {
	n [2]atomic.Int64
	_ [cacheLine - 16]byte
}

func (c counters) inc(shard uint32, which int) {
	s := c[shard].Load()
	if s == nil {
		c[shard].CompareAndSwap(nil, new(counterShard))
		s = c[shard].Load()
	}
	s.n[which].Add(1)
}

func (c counters) total(which int) (n int64) {
	for i := range c {
		if s := c[i].Load(); s != nil {
			n += s.n[which].Load()
		}
	}
	return n
}
