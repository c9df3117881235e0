package instrument

import (
	"github.com/prometheus/client_golang/prometheus"
)

// descs describes what is computed at scrape.
type descs struct {
	active, limit, draining, idle, last, messages     *prometheus.Desc
	queued, fullest, queuedFor, unanswered, backplane *prometheus.Desc
}

func newDescs(prefix, namespace string) descs {
	f := factory{prefix: prefix, labels: prometheus.Labels{"namespace": namespace}}
	return descs{
		active:     f.desc("_active_connections", "Connections open now."),
		limit:      f.desc("_connection_limit", "Connections that the endpoint is made for."),
		draining:   f.desc("_draining", "1 while the endpoint is shutting down gracefully."),
		idle:       f.desc("_idle_connections", "Connections without a message or pong for longer than that.", "idle"),
		last:       f.desc("_last_message_timestamp_seconds", "Time of the newest message of any connection.", "direction"),
		messages:   f.desc("_messages_total", "Whole messages.", "direction", "type"),
		queued:     f.desc("_send_queue_messages", "Messages in the send queues of all connections together."),
		fullest:    f.desc("_send_queue_max_ratio", "Length of the fullest send queue by its capacity."),
		queuedFor:  f.desc("_send_queue_oldest_seconds", "Age of the oldest message in a send queue."),
		unanswered: f.desc("_ping_unanswered_seconds", "Age of the oldest ping without an answer."),
		backplane:  f.desc("_backplane_up", "1 while the backplane is connected.", "backplane"),
	}
}

func (d *descs) all() []*prometheus.Desc {
	return []*prometheus.Desc{
		d.active, d.limit, d.draining, d.idle, d.last, d.messages,
		d.queued, d.fullest, d.queuedFor, d.unanswered, d.backplane,
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
	for _, d := range o.descs.all() {
		ch <- d
	}
	ch <- o.metrics.messageSize[receive].desc
	ch <- o.metrics.delivery.desc
	ch <- o.other.duration.desc
}

// Collect implements prometheus.Collector. It visits every live connection for some ten nanoseconds and exports
// aggregates, so that the number of series does not depend on the number of connections.
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
			ch <- prometheus.MustNewConstMetricWithCreatedTimestamp(o.descs.messages, prometheus.CounterValue,
				float64(t.messages.total(d)), o.epoch, d.String(), t.name)
		}
		ch <- t.duration
	}
	ch <- o.metrics.messageSize[receive]
	ch <- o.metrics.messageSize[transmit]
	ch <- o.metrics.delivery
}

func (o *Observer) collectGauges(ch chan<- prometheus.Metric) {
	gauge(ch, o.descs.active, float64(o.active.Load()))
	gauge(ch, o.descs.draining, zeroOrOne(o.draining.Load()))
	if o.limit > 0 {
		gauge(ch, o.descs.limit, float64(o.limit))
	}
	for d := range o.last {
		if t, ok := o.last[d].seconds(); ok {
			gauge(ch, o.descs.last, t, direction(d).String())
		}
	}
	for name, b := range o.backplanes {
		gauge(ch, o.descs.backplane, zeroOrOne(b.up.Load()), name)
	}
}

func (o *Observer) collectLiveness(ch chan<- prometheus.Metric) {
	l := o.liveness()
	for i, name := range idleNames() {
		gauge(ch, o.descs.idle, float64(l.idle[i]), name)
	}
	gauge(ch, o.descs.queued, float64(l.queued))
	gauge(ch, o.descs.fullest, l.fullest)
	gauge(ch, o.descs.queuedFor, l.queuedFor.Seconds())
	gauge(ch, o.descs.unanswered, l.unanswered.Seconds())
}

func gauge(ch chan<- prometheus.Metric, desc *prometheus.Desc, v float64, labelValues ...string) {
	ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labelValues...)
}

func zeroOrOne(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
