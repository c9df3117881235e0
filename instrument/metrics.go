package instrument

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// transport is the prefix of the metrics and spans of the contract.
const transport = "websocket"

// metrics holds the instruments of one observer. Children of closed sets are resolved here, once: a message never pays
// for looking up a label.
type metrics struct {
	collectors []prometheus.Collector

	connections        closedCounter[Status]
	disconnections     []closedCounter[CloseReason] // by Initiator
	errors             closedCounter[ErrorKind]
	dropped            closedCounter[DropReason]
	pings              closedCounter[PingResult]
	messages           *prometheus.CounterVec
	handshakeDuration  closedHistogram[Status]
	connectionDuration closedHistogram[CloseReason]
	messageDuration    *prometheus.HistogramVec
	messageSize        [2]prometheus.Observer // by direction
	pingRTT            prometheus.Observer

	typeOverflow      prometheus.Counter
	suppressedByRatio prometheus.Counter
	suppressedByCap   prometheus.Counter
}

func newMetrics(namespace string) *metrics {
	m := new(metrics)
	f := factory{labels: prometheus.Labels{"namespace": namespace}, made: &m.collectors}

	overflow := f.counter("instrument_label_overflow_total",
		"Values outside of a label's closed set, exported as other.", "label")
	m.typeOverflow = overflow.WithLabelValues("type")

	m.connections = newClosedCounter[Status](f.counter(transport+"_connections_total",
		"Handshakes, by how they ended.", "status"), overflow.WithLabelValues("status"), statusNames())
	m.errors = newClosedCounter[ErrorKind](f.counter(transport+"_errors_total",
		"Errors, by what failed.", "kind"), overflow.WithLabelValues("kind"), errorNames())
	m.dropped = newClosedCounter[DropReason](f.counter(transport+"_messages_dropped_total",
		"Outbound messages that were not written.", "reason"), overflow.WithLabelValues("reason"), dropNames())
	m.pings = newClosedCounter[PingResult](f.counter(transport+"_pings_total",
		"Pings sent, by what became of them.", "result"), overflow.WithLabelValues("result"), pingNames())
	m.disconnections = newDisconnections(f.counter(transport+"_disconnections_total",
		"Closed connections, by who closed them and why.", "initiator", "reason"),
		overflow.WithLabelValues("initiator"), overflow.WithLabelValues("reason"))
	m.messages = f.counter(transport+"_messages_total", "Whole messages.", "direction", "type")

	m.handshakeDuration = newClosedHistogram[Status](f.histogram(transport+"_handshake_duration_seconds",
		"Time from the upgrade request to its answer.", durationBuckets(0.001), "status"), statusNames())
	m.connectionDuration = newClosedHistogram[CloseReason](f.histogram(transport+"_connection_duration_seconds",
		"Lifetime of closed connections.", lifetimeBuckets(), "reason"), reasonNames())
	m.messageDuration = f.histogram(transport+"_message_duration_seconds",
		"Handling time of received messages.", durationBuckets(0.0001), "type")
	m.pingRTT = f.histogram(transport+"_ping_rtt_seconds", "Time from ping to pong.", durationBuckets(0.0005)).WithLabelValues()
	size := f.histogram(transport+"_message_size_bytes", "Payload size of messages.", sizeBuckets(), "direction")
	for _, d := range []direction{receive, transmit} {
		m.messageSize[d] = size.WithLabelValues(d.String())
	}

	suppressed := f.counter("instrument_spans_suppressed_total", "Message spans that were not made.", "cause")
	m.suppressedByRatio = suppressed.WithLabelValues("ratio")
	m.suppressedByCap = suppressed.WithLabelValues("rate_cap")
	return m
}

// factory makes instruments with the labels that all of them share and keeps them for collection.
type factory struct {
	labels prometheus.Labels
	made   *[]prometheus.Collector
}

func (f factory) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: f.labels}, labels)
	*f.made = append(*f.made, c)
	return c
}

// histogram makes a histogram that has classic buckets and native ones alongside, bounded so that no distribution of
// values can make it grow.
func (f factory) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:                            name,
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

// durationBuckets are classic buckets from a shortest duration up to 10 s, for dashboards and backends without native
// histograms. They contain 0.25 and 1, which alerts and objectives are made of.
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

// closedCounter is one resolved counter per value of a closed set. They exist from the start, so that a rate does not
// miss the first event.
type closedCounter[T ~uint8] struct {
	values   []prometheus.Counter // nil for a value that is not part of the set
	outside  func() prometheus.Counter
	overflow prometheus.Counter
}

func newClosedCounter[T ~uint8](vec *prometheus.CounterVec, overflow prometheus.Counter, names []string) closedCounter[T] {
	c := closedCounter[T]{
		values:   make([]prometheus.Counter, len(names)),
		outside:  func() prometheus.Counter { return vec.WithLabelValues(other) },
		overflow: overflow,
	}
	for i, name := range names {
		if i > 0 {
			c.values[i] = vec.WithLabelValues(name)
		}
	}
	return c
}

// of returns the counter of v. A value outside of the set is counted as overflow; its series is made when it is needed.
func (c closedCounter[T]) of(v T) prometheus.Counter {
	if int(v) < len(c.values) && c.values[v] != nil {
		return c.values[v]
	}
	c.overflow.Inc()
	return c.outside()
}

// newDisconnections resolves the reasons of every initiator. The reason `other` is part of its set, the initiator
// `other` is not.
func newDisconnections(vec *prometheus.CounterVec, initiator, reason prometheus.Counter) []closedCounter[CloseReason] {
	names := initiatorNames()
	all := make([]closedCounter[CloseReason], len(names))
	for i, name := range names {
		of := vec.MustCurryWith(prometheus.Labels{"initiator": name})
		if i == 0 {
			all[i] = closedCounter[CloseReason]{overflow: initiator, outside: func() prometheus.Counter {
				return of.WithLabelValues(other)
			}}
			continue
		}
		all[i] = newClosedCounter[CloseReason](of, reason, reasonNames())
		all[i].values[ReasonOther] = of.WithLabelValues(other)
	}
	return all
}

func (m *metrics) disconnection(i Initiator, r CloseReason) prometheus.Counter {
	if int(i) >= len(m.disconnections) {
		i = 0
	}
	return m.disconnections[i].of(r)
}

// closedHistogram is a histogram by a closed set that is observed rarely enough to resolve the child each time, and has
// too many series to have them all from the start.
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

// observe adds a duration, with an exemplar when it belongs to a sampled span and the last exemplar is old enough.
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
