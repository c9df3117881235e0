package poll

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sockscope/sockscope/demo/observe"
)

// outcome is how a poll ended.
type outcome string

const (
	messages outcome = "messages" // there were some
	nothing  outcome = "nothing"  // there were none, or those that the client has already
	behind   outcome = "behind"   // the next messages are not kept any more
	gone     outcome = "gone"     // the client went away
	drained  outcome = "drained"  // the server restarts
	refused  outcome = "refused"  // the request was not allowed or not understood
	failed   outcome = "failed"   // the store did not answer
)

// outcomes returns all of them.
func outcomes() []outcome {
	return []outcome{messages, nothing, behind, gone, drained, refused, failed}
}

// metrics tell waiting and work apart, so that nobody takes the one for the other.
type metrics struct {
	waiting  prometheus.Gauge
	wait     *prometheus.HistogramVec
	handling *prometheus.HistogramVec
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	namespace := prometheus.Labels{"namespace": observe.Namespace}
	histogram := func(name, help string, buckets ...float64) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name, Help: help, ConstLabels: namespace, Buckets: buckets,
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"outcome"})
		for _, o := range outcomes() { // one that is there from the start has a rate from its first poll on
			h.WithLabelValues(string(o))
		}
		return h
	}
	m := &metrics{
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "demo_polls_waiting", Help: "Polls that wait for a message now.", ConstLabels: namespace,
		}),
		wait: histogram("demo_poll_wait_seconds",
			"How long polls with a wait have waited for a message, by how they ended.", .001, .01, .1, 1, 5, 10, 30, 60),
		handling: histogram("demo_poll_handling_seconds",
			"How long polls took without the time that they waited for a message, by how they ended.",
			.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10),
	}
	if registerer == nil {
		return m, nil
	}
	return m, errors.Join(registerer.Register(m.waiting), registerer.Register(m.wait), registerer.Register(m.handling))
}
