package instrument

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

const scope = "github.com/sockscope/sockscope/instrument"

// An Observer observes one endpoint: it hands out a Handshake for each upgrade request and, for those that succeed, a
// Conn. It is a prometheus.Collector for the program to register. All methods are safe for concurrent use; on a nil
// Observer they do nothing.
type Observer struct {
	namespace     string
	limit         int
	slowThreshold time.Duration
	trustedPeers  bool

	root    context.Context // of the spans and records that belong to no request
	epoch   time.Time       // what monotonic times count from
	metrics *metrics        // nil in a zero Observer, which observes nothing
	types   map[string]*messageType
	other   *messageType
	tracer  trace.Tracer
	sampler sampler
	records *records

	active   atomic.Int64
	draining atomic.Bool
	last     [2]lastSeen // by direction

	activeDesc, limitDesc, drainingDesc *prometheus.Desc
	lastDesc                            [2]*prometheus.Desc
}

var _ prometheus.Collector = (*Observer)(nil)

// New makes an Observer. It starts nothing and registers nothing. The error names the option that is wrong.
func New(opts ...Option) (*Observer, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	o := &Observer{
		namespace:     c.namespace,
		limit:         c.connectionLimit,
		slowThreshold: c.slowThreshold,
		trustedPeers:  c.trustedPeers,
		root:          context.Background(),
		epoch:         time.Now(),
		metrics:       newMetrics(c.namespace),
		types:         make(map[string]*messageType, len(c.messageTypes)+1),
		tracer:        c.tracerProvider.Tracer(scope),
		records:       newRecords(c.logger, c.namespace),
	}
	o.sampler.init(c.sampleRatio, c.spanLimit)
	for _, name := range append(c.messageTypes, other) {
		if o.types[name] == nil {
			o.types[name] = newMessageType(o, name)
		}
	}
	o.other = o.types[other]
	o.describe()
	for d := range o.last {
		o.last[d].init()
	}
	return o, nil
}

// MessageType returns the registered message type of that name, to be resolved once where the name is a constant. For
// any other name it returns the type "other" and counts it in instrument_label_overflow_total.
func (o *Observer) MessageType(name string) MessageType {
	if !o.live() {
		return MessageType{}
	}
	if t := o.types[name]; t != nil {
		return MessageType{t}
	}
	o.metrics.typeOverflow.Inc()
	return MessageType{o.other}
}

// SetDraining says whether the endpoint is shutting down gracefully, which dashboards show and alerts respect.
func (o *Observer) SetDraining(draining bool) {
	if o.live() {
		o.draining.Store(draining)
	}
}

// Draining returns what SetDraining has last set.
func (o *Observer) Draining() bool {
	return o.live() && o.draining.Load()
}

// live is false for a nil and for a zero Observer.
func (o *Observer) live() bool { return o != nil && o.metrics != nil }

// now is the monotonic time since the Observer was made: half the price of time.Now, and it never jumps.
func (o *Observer) now() time.Duration { return time.Since(o.epoch) }

// describe makes the descriptors of what is computed at scrape.
func (o *Observer) describe() {
	desc := func(name, help string, labels prometheus.Labels) *prometheus.Desc {
		all := prometheus.Labels{"namespace": o.namespace}
		for k, v := range labels {
			all[k] = v
		}
		return prometheus.NewDesc(transport+name, help, nil, all)
	}
	o.activeDesc = desc("_active_connections", "Connections open now.", nil)
	o.drainingDesc = desc("_draining", "1 while the endpoint is shutting down gracefully.", nil)
	o.limitDesc = desc("_connection_limit", "Connections that the endpoint is made for.", nil)
	for d := range o.lastDesc {
		o.lastDesc[d] = desc("_last_message_timestamp_seconds", "Time of the newest message of any connection.",
			prometheus.Labels{"direction": direction(d).String()})
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
	ch <- o.activeDesc
	ch <- o.drainingDesc
	ch <- o.limitDesc
	for _, d := range o.lastDesc {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (o *Observer) Collect(ch chan<- prometheus.Metric) {
	if !o.live() {
		return
	}
	for _, c := range o.metrics.collectors {
		c.Collect(ch)
	}
	gauge := func(desc *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v)
	}
	gauge(o.activeDesc, float64(o.active.Load()))
	draining := 0.0
	if o.draining.Load() {
		draining = 1
	}
	gauge(o.drainingDesc, draining)
	if o.limit > 0 {
		gauge(o.limitDesc, float64(o.limit))
	}
	for d := range o.last {
		if t, ok := o.last[d].seconds(); ok {
			gauge(o.lastDesc[d], t)
		}
	}
}
