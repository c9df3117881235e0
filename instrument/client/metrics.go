package client

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sockscope/sockscope/instrument"
)

// other is the label value of every stream that is not registered.
const other = "other"

// metrics holds the instruments of one client. All series of closed sets are exported from the start, so that a rate
// does not miss the first event.
type metrics struct {
	collectors []prometheus.Collector

	attempts        *prometheus.CounterVec
	connectDuration prometheus.Observer
	disconnections  *prometheus.CounterVec
	backoff         prometheus.Observer
	firstMessage    prometheus.Observer
	pingRTT         prometheus.Observer
	errors          *prometheus.CounterVec
	overflow        prometheus.Counter

	lag                                                *prometheus.HistogramVec
	gaps, missing, duplicates, late, superseded, drift *prometheus.CounterVec

	reconciliations        *prometheus.CounterVec
	reconciliationDuration prometheus.Observer

	connected, disconnectedSeconds, lastMessage, stale *prometheus.Desc
	outage                                             outage
}

func newMetrics(client string) *metrics {
	m := new(metrics)
	f := factory{labels: prometheus.Labels{"client": client}, made: &m.collectors}

	m.attempts = f.counter("connect_attempts_total", "Attempts to connect, by how they ended.", "result")
	for s := instrument.StatusConnected; s <= instrument.StatusError; s++ {
		m.attempts.WithLabelValues(s.String())
	}
	m.connectDuration = f.histogram("connect_duration_seconds", "Time that successful attempts to connect took.",
		durationBuckets(0.001, 10)).WithLabelValues()
	m.disconnections = f.counter("disconnections_total", "Connections that ended, by who ended them and why.",
		"initiator", "reason")
	for i := instrument.InitiatorLocal; i <= instrument.InitiatorNetwork; i++ {
		for r := instrument.ReasonOther; r <= instrument.ReasonShutdown; r++ {
			m.disconnections.WithLabelValues(i.String(), r.String())
		}
	}
	m.backoff = f.histogram("backoff_seconds", "Waits before another attempt to connect.",
		durationBuckets(0.1, 600)).WithLabelValues()
	m.firstMessage = f.histogram("first_message_seconds", "Time from the handshake to the first event.",
		durationBuckets(0.001, 60)).WithLabelValues()
	m.pingRTT = f.histogram("ping_rtt_seconds", "Time from ping to pong.", durationBuckets(0.0005, 10)).WithLabelValues()
	m.errors = f.counter("errors_total", "Errors, by what failed.", "kind")
	for _, k := range []instrument.ErrorKind{
		instrument.ErrorAuth, instrument.ErrorDecode, instrument.ErrorHandler, instrument.ErrorPanic,
	} {
		m.errors.WithLabelValues(k.String())
	}
	m.ofStreams(f)
	m.reconciliations = f.counter("reconciliations_total", "Attempts to reconcile a stream with a snapshot, by what made "+
		"them necessary and how they ended.", "trigger", "result")
	for _, t := range triggers() {
		for _, r := range results() {
			m.reconciliations.WithLabelValues(string(t), string(r))
		}
	}
	m.reconciliationDuration = f.histogram("reconciliation_duration_seconds",
		"Time from what made reconciling necessary until the stream was live.", durationBuckets(0.001, 60)).WithLabelValues()

	// Package instrument exports the same metric for each Observer. One registry accepts both only if their labels are
	// the same.
	overflow := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name:        "sockscope_label_overflow_total",
		Help:        "Values outside of a label's closed set, exported as other.",
		ConstLabels: prometheus.Labels{"namespace": client, "transport": "websocket_client"},
	}, []string{"label"})
	m.overflow = overflow.WithLabelValues("stream")
	m.collectors = append(m.collectors, overflow)
	return m
}

func (m *metrics) ofStreams(f factory) {
	m.lag = f.histogram("event_lag_seconds", "Time from an event, by the server's clock, to its receipt, by this one's.",
		durationBuckets(0.001, 60), "stream")
	m.gaps = f.counter("sequence_gaps_total", "Gaps in the sequence of events.", "stream")
	m.missing = f.counter("missing_messages_total", "Sequence numbers that were skipped, and events for which a slow "+
		"handler left no room.", "stream")
	m.duplicates = f.counter("duplicates_total", "Events that had been received before.", "stream")
	m.late = f.counter("out_of_order_total", "Events that came after later ones.", "stream")
	m.superseded = f.counter("superseded_total", "Events that were left out because a snapshot tells of them.", "stream")
	m.drift = f.counter("drift_total", "Reconciliations that found other state than was held.", "stream")
	m.lastMessage = f.desc("last_message_timestamp_seconds", "Time of the newest event.", "stream")
	m.stale = f.desc("stale", "1 while the stream has nothing new to say: for longer than expected, or because "+
		"it receives nothing useful.", "stream")
	m.connected = f.desc("connected", "1 while there is a connection.")
	m.disconnectedSeconds = f.desc("disconnected_seconds_total", "Time that the client has run without a connection.")
}

// factory makes instruments with shared labels, and keeps them for collection.
type factory struct {
	labels prometheus.Labels
	made   *[]prometheus.Collector
}

const prefix = "websocket_client_"

func (f factory) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help, ConstLabels: f.labels}, labels)
	*f.made = append(*f.made, c)
	return c
}

// histogram makes a histogram that has classic buckets and native ones alongside. Their number is bounded, whatever the
// values are.
func (f factory) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:                            prefix + name,
		Help:                            help,
		ConstLabels:                     f.labels,
		Buckets:                         buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: time.Hour,
	}, labels)
	*f.made = append(*f.made, h)
	return h
}

func (f factory) desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prefix+name, help, labels, f.labels)
}

// durationBuckets are classic buckets from a shortest to a longest duration.
func durationBuckets(shortest, longest float64) []float64 {
	all := []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600}
	return all[slices.Index(all, shortest) : slices.Index(all, longest)+1]
}

// outage adds up the time without a connection.
type outage struct {
	mu    sync.Mutex
	total time.Duration
	since time.Time // zero while there is a connection, or none is wanted
}

func (o *outage) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		o.since = time.Now()
	}
}

func (o *outage) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.since.IsZero() {
		o.total += time.Since(o.since)
		o.since = time.Time{}
	}
}

// duration includes the present outage.
func (o *outage) duration() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		return o.total
	}
	return o.total + time.Since(o.since)
}

// Describe implements prometheus.Collector.
func (c *Client) Describe(ch chan<- *prometheus.Desc) {
	for _, collector := range c.metrics.collectors {
		collector.Describe(ch)
	}
	for _, desc := range []*prometheus.Desc{
		c.metrics.connected, c.metrics.disconnectedSeconds, c.metrics.lastMessage, c.metrics.stale,
	} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *Client) Collect(ch chan<- prometheus.Metric) {
	m := c.metrics
	for _, collector := range m.collectors {
		collector.Collect(ch)
	}
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	}
	gauge(m.connected, oneIf(c.connection.Load() != nil))
	ch <- prometheus.MustNewConstMetric(m.disconnectedSeconds, prometheus.CounterValue, m.outage.duration().Seconds())
	for _, st := range c.all {
		if nanos := st.newest.Load(); nanos != 0 {
			gauge(m.lastMessage, float64(nanos)/1e9, st.Name)
		}
		if st != c.other {
			gauge(m.stale, oneIf(st.stale.Load()), st.Name)
		}
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
