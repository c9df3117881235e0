package instrument

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/instrument/internal/version"
)

const scope = "github.com/sockscope/sockscope/instrument"

// An Observer observes one endpoint. It makes a Handshake for each upgrade request, which becomes a Conn if it
// succeeds. It is a prometheus.Collector: register it in the program's registry. All methods are safe for concurrent
// use. On a nil or zero Observer they do nothing.
type Observer struct {
	// The fields that every message needs are next to each other.
	metrics *metrics // nil in a zero Observer, which observes nothing
	other   *messageType
	last    [2]lastSeen // by direction
	epoch   time.Time   // what monotonic times count from

	protocol      string // also the prefix of spans and their attributes
	namespace     string
	limit         int
	slowThreshold time.Duration
	trustedPeers  bool
	trust         func(context.Context, Request) bool // nil where nothing depends on the request
	tracing       bool
	propagator    propagation.TextMapPropagator
	classifier    ErrorClassifier
	keys          keys

	root       context.Context // of the spans and records that belong to no request
	shards     int             // of what messages move
	types      map[string]*messageType
	backplanes map[string]*Backplane
	tracer     trace.Tracer
	spanStarts sync.Pool // of *spanStart
	sampler    sampler
	records    *records
	misuses    misuses

	handshakeSpans, closeSpans, failureSpans limiter // the last beyond the others

	otherBackplane func() *Backplane

	conns    live
	opened   atomic.Uint64
	active   atomic.Int64
	draining atomic.Bool
	drains   atomic.Bool   // Drain was called
	empty    chan struct{} // has an element after the last connection has closed

	computed computed
}

var _ prometheus.Collector = (*Observer)(nil)

// New makes an Observer. It starts nothing and registers nothing. An error names the option that is wrong.
func New(opts ...Option) (*Observer, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	o := &Observer{
		protocol:      c.protocol,
		namespace:     c.namespace,
		limit:         c.connectionLimit,
		slowThreshold: c.slowThreshold,
		trustedPeers:  c.trustedPeers,
		trust:         c.trust,
		tracing:       c.tracing,
		propagator:    c.propagator,
		classifier:    c.classifier,
		keys:          newKeys(c.protocol),
		root:          context.Background(),
		epoch:         time.Now(),
		shards:        shardCount(runtime.GOMAXPROCS(0)),
		types:         make(map[string]*messageType, len(c.messageTypes)+1),
		backplanes:    make(map[string]*Backplane, len(c.backplanes)),
		tracer:        c.tracerProvider.Tracer(scope, trace.WithInstrumentationVersion(version.Number), trace.WithSchemaURL(semconv.SchemaURL)),
		records:       newRecords(c.logger, c.namespace, c.levels),
		empty:         make(chan struct{}, 1),
	}
	o.metrics = newMetrics(c, o.shards, o.epoch)
	o.computed = newComputed(c, o.epoch)
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

// Protocol returns the name given to WithProtocol, so that adapters can check whether they got the right observer. It
// is empty for a nil or zero Observer.
func (o *Observer) Protocol() string {
	if !o.live() {
		return ""
	}
	return o.protocol
}

// Namespace returns the name given to WithNamespace. It is empty for a nil or zero Observer.
func (o *Observer) Namespace() string {
	if !o.live() {
		return ""
	}
	return o.namespace
}

// MessageType returns the registered message type of that name. If the name is a constant, call MessageType once and
// keep the result. For any other name it returns the type "other" and counts the call in
// sockscope_label_overflow_total.
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

// SetDraining sets whether the endpoint is shutting down gracefully. Dashboards show it and alerts respect it. Drain
// sets it itself.
func (o *Observer) SetDraining(draining bool) {
	if o.live() {
		o.draining.Store(draining)
	}
}

// Draining returns the value that SetDraining or Drain set last.
func (o *Observer) Draining() bool {
	return o.live() && o.draining.Load()
}

// live is false for a nil and for a zero Observer.
func (o *Observer) live() bool { return o != nil && o.metrics != nil }

// now returns the monotonic time since the Observer was made. It costs half as much as time.Now and never jumps. Such
// times are comparable within one Observer only; see timeOf.
func (o *Observer) now() time.Duration { return time.Since(o.epoch) }

// timeOf returns the time d of another observer as one of o's.
func (o *Observer) timeOf(other *Observer, d time.Duration) time.Duration {
	if o == other {
		return d
	}
	return d + other.epoch.Sub(o.epoch)
}
