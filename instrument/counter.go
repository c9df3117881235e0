package instrument

import (
	"sync/atomic"
)

// cacheLine is the size of what processors take from each other when one of them writes.
const cacheLine = 64

// messageCounts counts the messages of one type. Each shard is on a cache line of its own.
type messageCounts []struct {
	n [2]atomic.Int64 // by direction
	_ [cacheLine - 16]byte
}

func (m messageCounts) inc(shard uint32, d direction) { m[shard].n[d].Add(1) }

func (m messageCounts) total(d direction) (n int64) {
	for i := range m {
		n += m[i].n[d].Load()
	}
	return n
}
