// Package turns compares two ways of doing the same by benchmarks that run both in turns, so that whatever slows the
// machine down for a while slows down both.
package turns

import (
	"slices"
	"testing"
	"time"
)

// block is how often each way is run before it is the other's turn: long enough to warm up, too short for the machine
// to change much.
const block = 200

// Compare runs bare and observed in turns, a block of each per iteration, and reports the median of the ratios of their
// times as "bare/observed": 1 if observed costs nothing, and less the more it costs.
func Compare(b *testing.B, bare, observed func()) {
	b.Helper()
	var ratios []float64
	for i := 0; b.Loop(); i++ {
		var took [2]time.Duration
		for j := range took {
			way := (i + j) % 2 // neither is always the first
			took[way] = run([]func(){bare, observed}[way])
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
