package game

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sockscope/sockscope/demo/observe"
)

// newLateness returns the histogram of how late ticks are.
func newLateness(registerer prometheus.Registerer) (prometheus.Histogram, error) {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "demo_game_tick_lateness_seconds", Help: "Time from when a tick of the game was due until it began.",
		ConstLabels: prometheus.Labels{"namespace": observe.Namespace},
		Buckets:     []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1},

		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour,
	})
	if registerer == nil {
		return h, nil
	}
	return h, registerer.Register(h)
}
