package probe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// success is the result of a probe that passed all phases.
const success = "success"

// metrics are those of the contract.
type metrics struct {
	probes            *prometheus.CounterVec
	success           *prometheus.GaugeVec
	duration          *prometheus.HistogramVec
	certificateExpiry *prometheus.GaugeVec
}

func newMetrics(targets []Target) *metrics {
	m := &metrics{
		probes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "websocket_probes_total",
			Help: "Probes, by the phase that failed, or success.",
		}, []string{"target", "result"}),
		success: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "websocket_probe_success",
			Help: "Whether the last probe connected, got an answer and saw its message delivered in time (1) or not (0).",
		}, []string{"target"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "websocket_probe_duration_seconds",
			Help:    "How long the phases of probes took that succeeded.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
			// Native as well, so that any threshold of an SLO can be asked for.
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  160,
			NativeHistogramMinResetDuration: time.Hour,
		}, []string{"target", "phase"}),
		certificateExpiry: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "websocket_probe_certificate_expiry_timestamp_seconds",
			Help: "When the first certificate expires of those that the target presented last.",
		}, []string{"target"}),
	}
	// Counters that are there from the start have a rate from the first probe on.
	for _, t := range targets {
		m.probes.WithLabelValues(t.Name, success)
		for _, phase := range []phase{connect, echo, delivery} {
			m.probes.WithLabelValues(t.Name, string(phase))
			m.duration.WithLabelValues(t.Name, string(phase))
		}
	}
	return m
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	m.probes.Describe(ch)
	m.success.Describe(ch)
	m.duration.Describe(ch)
	m.certificateExpiry.Describe(ch)
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.probes.Collect(ch)
	m.success.Collect(ch)
	m.duration.Collect(ch)
	m.certificateExpiry.Collect(ch)
}

// record counts what came of a probe.
func (m *metrics) record(t Target, r result) {
	outcome, up := success, 1.
	if r.err != nil {
		outcome, up = string(r.failed), 0
	}
	m.probes.WithLabelValues(t.Name, outcome).Inc()
	m.success.WithLabelValues(t.Name).Set(up)
	if !r.expires.IsZero() {
		m.certificateExpiry.WithLabelValues(t.Name).Set(float64(r.expires.Unix()))
	}
	for _, s := range r.passed {
		observer := m.duration.WithLabelValues(t.Name, string(s.phase))
		if s.traceID == "" {
			observer.Observe(s.took.Seconds())
			continue
		}
		observer.(prometheus.ExemplarObserver).ObserveWithExemplar(s.took.Seconds(), prometheus.Labels{"trace_id": s.traceID})
	}
}
