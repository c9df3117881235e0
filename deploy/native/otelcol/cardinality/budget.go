package cardinality

import (
	"sync"
	"time"
)

const (
	// forgetAfter is how long a key keeps its place after it was last seen. Prometheus has a series in memory for about
	// as long.
	forgetAfter = 2 * time.Hour
	// addressShare is how much more of what is free one address may take than one process or service: up to four
	// fifths.
	addressShare = 4
)

// owners are those on whose account a key gets a place, as hashes. Zero is one that is not known.
type owners struct{ service, process, address uint64 }

// place is what a key takes.
type place struct {
	by   owners
	size int32
	seen int32 // in minutes since 1970
}

// budget has a number of places for the keys that senders make.
//
// A key gets a place only if each of its owners has fewer places than are free, as switches share the memory of their
// queues ("dynamic thresholds"). One who takes all it can gets half, two get a third each, and something is always left
// for others. A key that has a place keeps it.
type budget struct {
	max int

	mu     sync.Mutex
	keys   map[uint64]place
	taken  map[uint64]int // by owner
	used   int
	minute int32 // of the last sweep
}

func newBudget(places int) *budget {
	return &budget{max: places, keys: make(map[uint64]place), taken: make(map[uint64]int)}
}

// admit reports whether a key has a place or gets one of that size.
func (b *budget) admit(now time.Time, key uint64, size int, by owners) bool {
	minute := int32(now.Unix() / 60)
	b.mu.Lock()
	defer b.mu.Unlock()
	if minute != b.minute {
		b.minute = minute
		b.sweep()
	}
	if p, ok := b.keys[key]; ok {
		if p.seen != minute {
			p.seen = minute
			b.keys[key] = p
		}
		return true
	}
	free := b.max - b.used
	if size > free || b.taken[by.service] >= free || b.taken[by.process] >= free || b.taken[by.address] >= addressShare*free {
		return false
	}
	b.keys[key] = place{by: by, size: int32(size), seen: minute}
	b.take(by, size)
	return true
}

// sweep frees the places of keys that have not been seen for long.
func (b *budget) sweep() {
	for key, p := range b.keys {
		if b.minute-p.seen > int32(forgetAfter/time.Minute) {
			delete(b.keys, key)
			b.take(p.by, -int(p.size))
		}
	}
}

// take adds places to those that owners have. Those of an unknown owner are on nobody's account.
func (b *budget) take(by owners, places int) {
	b.used += places
	for _, owner := range [...]uint64{by.service, by.process, by.address} {
		if owner == 0 {
			continue
		}
		if b.taken[owner] += places; b.taken[owner] == 0 {
			delete(b.taken, owner)
		}
	}
}
