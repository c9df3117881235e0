// Package turns compares two ways of doing the same by benchmarks that run both in turns, so that whatever slows the
// machine down for a while slows down both.
package turns

import (
	"slices"
	"testing"
	"time"
)

const (
	// block is how often each way is run before it is the other's turn: long enough to warm up, too short for the
	// machine to change much.
	block = 200
	// lifetime is how many turns a way has before it is made anew. Of two connections that do the same, one may be two
	// percent faster for as long as it lives, by where its memory lies.
	lifetime = 50
)

// Compare makes a bare and an observed way by the two functions, again and again, and runs both in turns, a block of
// each per iteration. It reports the median of the ratios of their times as "bare/observed": 1 if observed costs
// nothing, and less the more it costs.
func Compare(b *testing.B, bare, observed func() func()) {
	b.Helper()
	var ways [2]func()
	var ratios []float64
	for i := 0; b.Loop(); i++ {
		if i%lifetime == 0 {
			ways = [2]func(){bare(), observed()}
		}
		var took [len(ways)]time.Duration
		for j := range took {
			way := (i + j) % len(ways) // neither is always the first
			took[way] = run(ways[way])
		}
		ratios = append(ratios, float64(took[0])/float64(took[1]))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "bare/observed")
	b.ReportMetric(0, "ns/op") // the time of both together says nothing
}

func run(way func()) time.Duration {
	start := time.Now()
	for range block {
		way()
	}
	return time.Since(start)
}
