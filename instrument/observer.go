package instrument

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

const scope = "github.com/sockscope/sockscope/instrument"

// An Observer observes one endpoint: it hands out a Handshake for each upgrade request and, for those that succeed, a
// Conn. It is a prometheus.Collector for the program to register. All methods are safe for concurrent use; on a nil
// or zero Observer they do nothing.
type Observer struct {
	transport     string // the prefix of metrics, spans and attributes
	namespace     string
	limit         int
	slowThreshold time.Duration
	trustedPeers  bool

	root       context.Context // of the spans and records that belong to no request
	epoch      time.Time       // what monotonic times count from
	shards     int             // of what messages move
	metrics    *metrics        // nil in a zero Observer, which observes nothing
	types      map[string]*messageType
	other      *messageType
	backplanes map[string]*Backplane
	tracer     trace.Tracer
	spanStarts sync.Pool // of *spanStart
	sampler    sampler
	records    *records

	handshakeSpans, closeSpans, failureSpans limiter // the last beyond the others

	otherBackplane func() *Backplane

	conns    live
	opened   atomic.Uint64
	active   atomic.Int64
	draining atomic.Bool
	last     [2]lastSeen // by direction

	descs descs
}

var _ prometheus.Collector = (*Observer)(nil)

// New makes an Observer. It starts nothing and registers nothing. The error names the option that is wrong.
func New(opts ...Option) (*Observer, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	o := &Observer{
		transport:     c.transport,
		namespace:     c.namespace,
		limit:         c.connectionLimit,
		slowThreshold: c.slowThreshold,
		trustedPeers:  c.trustedPeers,
		root:          context.Background(),
		epoch:         time.Now(),
		shards:        shardCount(runtime.GOMAXPROCS(0)),
		types:         make(map[string]*messageType, len(c.messageTypes)+1),
		backplanes:    make(map[string]*Backplane, len(c.backplanes)),
		tracer:        c.tracerProvider.Tracer(scope),
		records:       newRecords(c.logger, c.namespace),
		descs:         newDescs(c.transport, c.namespace),
	}
	o.metrics = newMetrics(o.transport, o.namespace, o.shards, o.epoch)
	o.spanStarts.New = func() any { return newSpanStart(o) }
	o.sampler.init(c.sampleRatio, c.spanLimit)
	o.handshakeSpans.init(c.spanLimit)
	o.closeSpans.init(c.spanLimit)
	o.failureSpans.init(c.spanLimit)
	for _, name := range append(c.messageTypes, other) {
		if o.types[name] == nil {
			o.types[name] = newMessageType(o, name)
		}
	}
	o.other = o.types[other]
	for _, name := range c.backplanes {
		o.backplanes[name] = newBackplane(o, name)
	}
	o.otherBackplane = sync.OnceValue(func() *Backplane { return newBackplane(o, other) })
	for d := range o.last {
		o.last[d].init()
	}
	return o, nil
}

// MessageType returns the registered message type of that name, to be resolved once where the name is a constant. For
// any other name it returns the type "other" and counts it in sockscope_label_overflow_total.
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
