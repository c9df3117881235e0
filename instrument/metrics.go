package instrument

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// metrics holds the instruments of one observer. Children of closed sets are looked up here, once, so a message never
// pays for looking up a label. The instruments that every message moves are our own and sharded. All others are
// client_golang's.
type metrics struct {
	collectors []prometheus.Collector

	connections         closedCounter[Status]
	disconnections      []closedCounter[CloseReason] // by Initiator
	errors              closedCounter[ErrorKind]
	dropped             closedCounter[DropReason]
	pings               closedCounter[PingResult]
	handshakeDuration   closedHistogram[Status]
	connectionDuration  closedHistogram[CloseReason]
	pingRTT             *prometheus.HistogramVec
	broadcastDuration   *prometheus.HistogramVec
	broadcastThrottle   throttle
	broadcastDelivery   *prometheus.HistogramVec
	arrivalThrottle     throttle
	broadcastRecipients *prometheus.HistogramVec
	backplaneLag        *prometheus.HistogramVec
	backplaneMessages   *prometheus.CounterVec

	overflow     *prometheus.CounterVec
	typeOverflow prometheus.Counter
	suppressed   counters // spans, by cause

	messageSize        [2]*histogram // by direction
	otherSize          [2]*histogram // the part for messages of the type other, which are counted by it
	delivery           *histogram
	newMessageDuration func(name string) *histogram
}

func newMetrics(c *config, shards int, created time.Time) *metrics {
	m := new(metrics)
	f, own := newFactories(c)
	f.made, own.made = &m.collectors, &m.collectors

	m.overflow = own.counter("_label_overflow_total",
		"Values outside of a label's closed set, exported as other.", "label")
	overflow := m.overflow.WithLabelValues
	m.typeOverflow = overflow("type")
	m.suppressed = make(counters, shards)

	m.connections = newClosedCounter[Status](f.counter("_connections_total",
		"Handshakes, by how they ended.", "status"), overflow("status"), statusNames(), nil)
	m.errors = newClosedCounter[ErrorKind](f.counter("_errors_total",
		"Errors, by what failed.", "kind"), overflow("kind"), errorNames(), nil)
	m.dropped = newClosedCounter[DropReason](f.counter("_messages_dropped_total",
		"Outbound messages that were not written.", "reason"), overflow("reason"), dropNames(), nil)
	m.pings = newClosedCounter[PingResult](f.counter("_pings_total",
		"Pings sent, by what became of them.", "result"), overflow("result"), pingNames(), nil)
	m.disconnections = newDisconnections(f.counter("_disconnections_total",
		"Closed connections, by who closed them and why.", "initiator", "reason"), overflow("initiator"), overflow("reason"))

	m.handshakeDuration = newClosedHistogram[Status](f.histogram("_handshake_duration_seconds",
		"Time from the upgrade request to its answer.", durationBuckets(0.001), "status"), statusNames())
	m.connectionDuration = newClosedHistogram[CloseReason](f.histogram("_connection_duration_seconds",
		"Lifetime of closed connections.", lifetimeBuckets(), "reason"), reasonNames())
	m.pingRTT = f.histogram("_ping_rtt_seconds", "Time from ping to pong.", durationBuckets(0.0005))
	m.broadcastDuration = f.histogram("_broadcast_duration_seconds",
		"Time from publishing a message to handing it to the last recipient of this process.", durationBuckets(0.0001))
	m.broadcastDelivery = f.histogram("_broadcast_delivery_duration_seconds",
		"Time from publishing a message to writing it to the socket of the last recipient of this process.", durationBuckets(0.0001))
	m.broadcastRecipients = f.histogram("_broadcast_recipients",
		"Connections of this process that a published message was handed to.", recipientBuckets())

	m.backplaneLag = f.histogram("_backplane_lag_seconds",
		"Time from publishing a message on one node to its delivery on another.", durationBuckets(0.0005), "backplane")
	m.backplaneMessages = f.counter("_backplane_messages_total",
		"Messages between nodes, by what became of them.", "backplane", "direction", "result")

	sizes := newLayout(1, sizeMinExp, sizeMaxExp, c.sizeBuckets)
	durations := newLayout(1e9, durationMinExp, durationMaxExp, c.durationBuckets)
	size := f.desc("_message_size_bytes", "Payload size of messages.", "direction")
	for _, d := range []direction{receive, transmit} {
		m.messageSize[d] = newHistogram(size, sizes, shards, created, d.String())
		m.otherSize[d] = newHistogram(size, sizes, shards, created, d.String())
		m.messageSize[d].part = m.otherSize[d]
	}
	m.delivery = newHistogram(f.desc("_delivery_duration_seconds",
		"Time from handing a message to the send queue to writing it to the socket."), durations, shards, created)
	handling := f.desc("_message_duration_seconds", "Handling time of received messages.", "type")
	m.newMessageDuration = func(name string) *histogram {
		return newHistogram(handling, durations, shards, created, name)
	}
	return m
}

// factory makes instruments with a shared prefix and shared labels, and keeps them for collection.
type factory struct {
	prefix string
	labels prometheus.Labels
	made   *[]prometheus.Collector
}

// newFactories returns the factory of the service's metrics, and the factory of the library's metrics about itself.
func newFactories(c *config) (f, own factory) {
	return factory{prefix: c.prefix(), labels: prometheus.Labels{"namespace": c.namespace}},
		factory{prefix: "sockscope", labels: prometheus.Labels{"namespace": c.namespace, "transport": c.protocol}}
}

func (f factory) desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(f.prefix+name, help, labels, f.labels)
}

func (f factory) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: f.prefix + name, Help: help, ConstLabels: f.labels}, labels)
	*f.made = append(*f.made, c)
	return c
}

// histogram makes a histogram that has classic buckets and native ones alongside. Their number is bounded, whatever the
// values are.
func (f factory) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:                            f.prefix + name,
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

// The ranges of native buckets, as powers of two: about a microsecond to twelve days, and half a byte to a tebibyte.
const (
	durationMinExp, durationMaxExp = -20, 20
	sizeMinExp, sizeMaxExp         = -1, 40
)

// durationBuckets are classic buckets from a shortest duration up to 10 s, for dashboards and backends without native
// histograms. They contain 0.25 and 1, which alerts and objectives use.
func durationBuckets(shortest float64) []float64 {
	all := []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
	return all[slices.Index(all, shortest):]
}

// lifetimeBuckets are classic buckets from a second to a day.
func lifetimeBuckets() []float64 {
	return []float64{1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400}
}

// sizeBuckets are classic buckets from 64 B to 1 MiB.
func sizeBuckets() []float64 { return prometheus.ExponentialBuckets(64, 4, 8) }

// recipientBuckets are classic buckets from nobody to a hundred thousand.
func recipientBuckets() []float64 { return []float64{0, 1, 10, 100, 1_000, 10_000, 100_000} }

// closedCounter is one counter per value of a closed set.
type closedCounter[T ~uint8] struct {
	vec      *prometheus.CounterVec
	overflow prometheus.Counter // of values outside of the set
	names    []string
	values   []prometheus.Counter // those that exist from the start, so that a rate does not miss the first event
}

// newClosedCounter makes a counter for each value but the first, which means none. The values for which first returns
// true are exported from the start. If first is nil, all are. See Observer.Collect.
func newClosedCounter[T ~uint8](
	vec *prometheus.CounterVec, overflow prometheus.Counter, names []string, first func(T) bool,
) closedCounter[T] {
	c := closedCounter[T]{vec: vec, overflow: overflow, names: names, values: make([]prometheus.Counter, len(names))}
	for i, name := range names {
		if i > 0 && (first == nil || first(T(i))) {
			c.values[i] = vec.WithLabelValues(name)
		}
	}
	return c
}

// of returns the counter of v. It counts a value outside of the set as overflow.
func (c *closedCounter[T]) of(v T) prometheus.Counter {
	switch {
	case v == 0 || int(v) >= len(c.values):
		c.overflow.Inc()
		return c.vec.WithLabelValues(other)
	case c.values[v] == nil:
		return c.vec.WithLabelValues(c.names[v])
	default:
		return c.values[v]
	}
}

// newDisconnections makes the counters of the reasons of every initiator.
func newDisconnections(vec *prometheus.CounterVec, initiator, reason prometheus.Counter) []closedCounter[CloseReason] {
	all := make([]closedCounter[CloseReason], len(initiatorNames()))
	for i, name := range initiatorNames() {
		all[i] = newClosedCounter(vec.MustCurryWith(prometheus.Labels{"initiator": name}), reason, reasonNames(),
			func(r CloseReason) bool { return i > 0 && Cause{Initiator: Initiator(i), Reason: r}.IsFailure() })
	}
	all[0].overflow = initiator
	return all
}

// disconnection returns the counter of a cause. The reason `other` is part of its set, the initiator `other` is not.
func (m *metrics) disconnection(i Initiator, r CloseReason) prometheus.Counter {
	switch {
	case i == 0 || int(i) >= len(m.disconnections):
		return m.disconnections[0].of(0)
	case r == ReasonOther:
		return m.disconnections[i].vec.WithLabelValues(other)
	default:
		return m.disconnections[i].of(r)
	}
}

// closedHistogram is a histogram by a closed set. It is observed so rarely that the child can be looked up each time,
// and has too many series to export them all from the start.
type closedHistogram[T ~uint8] struct {
	vec       *prometheus.HistogramVec
	names     []string
	throttles []throttle
}

func newClosedHistogram[T ~uint8](vec *prometheus.HistogramVec, names []string) closedHistogram[T] {
	return closedHistogram[T]{vec: vec, names: names, throttles: make([]throttle, len(names))}
}

func (h closedHistogram[T]) observe(v T, now, d time.Duration, span trace.SpanContext) {
	if int(v) >= len(h.names) {
		v = 0
	}
	observe(h.vec.WithLabelValues(h.names[v]), &h.throttles[v], now, d, span)
}

// observe adds a duration, with an exemplar if it belongs to a sampled span and the last exemplar is old enough.
func observe(h prometheus.Observer, t *throttle, now, d time.Duration, span trace.SpanContext) {
	if span.IsSampled() && t.allow(now) {
		if e, ok := h.(prometheus.ExemplarObserver); ok {
			e.ObserveWithExemplar(d.Seconds(), prometheus.Labels{
				"trace_id": span.TraceID().String(),
				"span_id":  span.SpanID().String(),
			})
			return
		}
	}
	h.Observe(d.Seconds())
}
