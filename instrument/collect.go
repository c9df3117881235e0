package instrument

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// computed holds the series that are computed at scrape.
type computed struct {
	active, limit, draining, unanswered *series
	queued, fullest, queuedFor          *series
	slow, behindSlow                    *series
	idle                                []*series // by idleAfter
	last                                []*series // by direction
	suppressed                          []*series // by cause

	messages, backplane *prometheus.Desc
}

func newComputed(c *config, epoch time.Time) computed {
	f, own := newFactories(c)
	gauges := func(name, help, label string, values ...string) (all []*series) {
		desc := f.desc(name, help, label)
		for _, v := range values {
			all = append(all, newSeries(desc, v))
		}
		return all
	}
	gauge := func(name, help string) *series { return newSeries(f.desc(name, help)) }
	return computed{
		active:     gauge("_active_connections", "Connections open now."),
		limit:      gauge("_connection_limit", "Connections that the endpoint is made for."),
		draining:   gauge("_draining", "1 while the endpoint is shutting down gracefully."),
		queued:     gauge("_send_queue_messages", "Messages in the send queues of all connections together."),
		fullest:    gauge("_send_queue_max_ratio", "Length of the fullest send queue by its capacity."),
		queuedFor:  gauge("_send_queue_oldest_seconds", "Age of the oldest message in a send queue."),
		slow:       gauge("_slow_connections", "Connections for which a message has waited in the send queue for longer than a second."),
		behindSlow: gauge("_slow_connection_messages", "Messages in the send queues of those connections."),
		unanswered: gauge("_ping_unanswered_seconds", "Age of the oldest ping without an answer."),
		idle: gauges("_idle_connections", "Connections without a message or pong for longer than that.",
			"idle", idleNames()...),
		last: gauges("_last_message_timestamp_seconds", "Time of the newest message of any connection.",
			"direction", receive.String(), transmit.String()),
		suppressed: newCounterSeries(own.desc("_spans_suppressed_total", "Spans that were not made.", "cause"),
			epoch, []string{"ratio"}, []string{"rate_cap"}),
		messages:  f.desc("_messages_total", "Whole messages.", "direction", "type"),
		backplane: f.desc("_backplane_up", "1 while the backplane is connected.", "backplane"),
	}
}

// Describe implements prometheus.Collector.
func (o *Observer) Describe(ch chan<- *prometheus.Desc) {
	if !o.live() {
		return
	}
	for _, c := range o.metrics.collectors {
		c.Describe(ch)
	}
	c := &o.computed
	for _, s := range []*series{
		c.active, c.limit, c.draining, c.queued, c.fullest, c.queuedFor, c.slow, c.behindSlow, c.unanswered, c.idle[0], c.last[0],
		c.suppressed[0],
	} {
		ch <- s.desc
	}
	ch <- c.messages
	ch <- c.backplane
	ch <- o.metrics.messageSize[receive].desc
	ch <- o.metrics.delivery.desc
	ch <- o.other.duration.desc
}

// Collect implements prometheus.Collector. It looks at every live connection, which takes some ten nanoseconds each,
// and exports aggregates, so the number of series does not depend on the number of connections.
//
// Some counters are exported as zero before their first event, because Prometheus sees no increase in a counter that
// appears with a value above zero, and an alert would miss that event. These are the counters of each status of a
// handshake, each kind of error, each reason for a drop, each result of a ping, and each way in which a connection can
// break. Message types, histograms and all other counters are exported after their first event.
func (o *Observer) Collect(ch chan<- prometheus.Metric) {
	if !o.live() {
		return
	}
	for _, c := range o.metrics.collectors {
		c.Collect(ch)
	}
	o.collectMessages(ch)
	o.collectGauges(ch)
	o.collectLiveness(ch)
}

func (o *Observer) collectMessages(ch chan<- prometheus.Metric) {
	for _, t := range o.types {
		for _, d := range []direction{receive, transmit} {
			// The type "other" is exported from the start, so the sum of all types is, too.
			n := float64(t.messages.total(int(d)))
			if t == o.other {
				n = float64(o.metrics.otherSize[d].total())
			}
			if n > 0 || t == o.other {
				ch <- t.exported()[d].at(n)
			}
		}
		collectHistogram(ch, t.duration)
	}
	for _, h := range o.metrics.messageSize {
		collectHistogram(ch, h)
	}
	collectHistogram(ch, o.metrics.delivery)
	if o.tracing {
		for cause, s := range o.computed.suppressed {
			ch <- s.at(float64(o.metrics.suppressed.total(cause)))
		}
	}
}

func collectHistogram(ch chan<- prometheus.Metric, h *histogram) {
	if h.used() {
		ch <- h
	}
}

func (o *Observer) collectGauges(ch chan<- prometheus.Metric) {
	ch <- o.computed.active.at(float64(o.active.Load()))
	ch <- o.computed.draining.at(zeroOrOne(o.draining.Load()))
	if o.limit > 0 {
		ch <- o.computed.limit.at(float64(o.limit))
	}
	for d := range o.last {
		if t, ok := o.last[d].seconds(); ok {
			ch <- o.computed.last[d].at(t)
		}
	}
	for _, b := range o.backplanes {
		ch <- b.exported.at(zeroOrOne(b.up.Load()))
	}
}

func (o *Observer) collectLiveness(ch chan<- prometheus.Metric) {
	l := o.liveness()
	for i, s := range o.computed.idle {
		ch <- s.at(float64(l.idle[i]))
	}
	ch <- o.computed.queued.at(float64(l.queued))
	ch <- o.computed.fullest.at(l.fullest)
	ch <- o.computed.queuedFor.at(l.queuedFor.Seconds())
	ch <- o.computed.slow.at(float64(l.slow))
	ch <- o.computed.behindSlow.at(float64(l.behindSlow))
	ch <- o.computed.unanswered.at(l.unanswered.Seconds())
}

func zeroOrOne(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// series is a counter or gauge whose value is computed at scrape. Its labels are made once.
type series struct {
	desc    *prometheus.Desc
	labels  []*dto.LabelPair
	created *timestamppb.Timestamp // of a counter, nil for a gauge
}

func newSeries(desc *prometheus.Desc, labelValues ...string) *series {
	return &series{desc: desc, labels: prometheus.MakeLabelPairs(desc, labelValues)}
}

// newCounterSeries makes a counter for each set of label values.
func newCounterSeries(desc *prometheus.Desc, created time.Time, labelValues ...[]string) (all []*series) {
	timestamp := timestamppb.New(created)
	for _, values := range labelValues {
		s := newSeries(desc, values...)
		s.created = timestamp
		all = append(all, s)
	}
	return all
}

func (s *series) at(v float64) prometheus.Metric { return &sample{s, v} }

// sample is the value of a series at one moment.
type sample struct {
	series *series
	value  float64
}

// Desc implements prometheus.Metric.
func (s *sample) Desc() *prometheus.Desc { return s.series.desc }

// Write implements prometheus.Metric.
func (s *sample) Write(out *dto.Metric) error {
	out.Label = s.series.labels
	if s.series.created != nil {
		out.Counter = &dto.Counter{Value: &s.value, CreatedTimestamp: s.series.created}
	} else {
		out.Gauge = &dto.Gauge{Value: &s.value}
	}
	return nil
}
