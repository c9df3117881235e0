// Package cardinality makes a processor that bounds how many services, instances and series senders can make.
//
// Each of them costs a store memory or a place in its index for as long as it is known, so that one sender with a
// random number in a name could use up what all others need. The processor knows a limited number of them. Those it
// knows pass. A new one gets a place unless its service, its process or its address has taken too much (see budget).
// Otherwise:
//
//   - a span or log record gets the service name "other"; what was there is in service.name.original and the like. It is
//     counted in sockscope_label_overflow_total,
//   - a data point gets the attribute sockscope.refused, by which the Collector's configuration has it counted and left out:
//     "too_many_services" with the service name "other", or "too_many_series".
//
// The processor forgets a name that it has not seen for two hours.
package cardinality

import (
	"context"
	"hash/maphash"
	"math"
	"math/bits"
	"net"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"
)

const (
	serviceName        = "service.name"
	serviceNamespace   = "service.namespace"
	serviceInstance    = "service.instance.id"
	environment        = "deployment.environment.name"
	refused            = "sockscope.refused"
	other              = "other"
	tooManyServices    = "too_many_services"
	tooManySeries      = "too_many_series"
	betweenWarnings    = time.Minute
	suffixOfWhatItWas  = ".original"
	classicSeriesExtra = 2 // a histogram's sum and count
)

// limiter is the processor of one pipeline.
type limiter struct {
	resources, series *budget
	seed              maphash.Seed
	count             func(ctx context.Context, items int)
	logger            *zap.Logger
	warned            atomic.Int64 // when the log last said so, in Unix nanoseconds
}

func (l *limiter) logs(ctx context.Context, ld plog.Logs) (plog.Logs, error) {
	now := time.Now()
	for _, r := range ld.ResourceLogs().All() {
		if !l.rename(ctx, now, r.Resource()) {
			continue
		}
		items := 0
		for _, s := range r.ScopeLogs().All() {
			items += s.LogRecords().Len()
		}
		l.count(ctx, items)
	}
	return ld, nil
}

func (l *limiter) traces(ctx context.Context, td ptrace.Traces) (ptrace.Traces, error) {
	now := time.Now()
	for _, r := range td.ResourceSpans().All() {
		if !l.rename(ctx, now, r.Resource()) {
			continue
		}
		items := 0
		for _, s := range r.ScopeSpans().All() {
			items += s.Spans().Len()
		}
		l.count(ctx, items)
	}
	return td, nil
}

// rename gives a resource the name "other" if there are too many, and reports whether it did.
func (l *limiter) rename(ctx context.Context, now time.Time, resource pcommon.Resource) bool {
	by := l.ownersOf(ctx, resource)
	key := mix(by.service, l.hashOf(resource, environment))
	if l.resources.admit(now, key, 1, by.ofNames()) {
		return false
	}
	l.warn(ctx, now, resource, "Too many services: spans or log records get the service name other.")
	attributes := resource.Attributes()
	for _, name := range [...]string{serviceName, serviceNamespace, environment} {
		if value, ok := attributes.Get(name); ok {
			original := value.AsString()
			attributes.Remove(name)
			attributes.PutStr(name+suffixOfWhatItWas, original)
		}
	}
	attributes.PutStr(serviceName, other)
	return true
}

func (l *limiter) metrics(ctx context.Context, md pmetric.Metrics) (pmetric.Metrics, error) {
	now := time.Now()
	for _, r := range md.ResourceMetrics().All() {
		resource := r.Resource()
		by := l.ownersOf(ctx, resource)
		instance := mix(by.service, l.hashOf(resource, serviceInstance))
		known := l.resources.admit(now, instance, 1, by.ofNames())
		if !known {
			l.warn(ctx, now, resource, "Too many services or instances: their data points are refused.")
			resource.Attributes().Clear()
			resource.Attributes().PutStr(serviceName, other)
			resource.Attributes().PutStr(serviceInstance, other)
		} else if !l.series.admit(now, l.hashOfMap(resource.Attributes()), 1, by) {
			// Prometheus makes one series, target_info, of all that a resource has.
			l.warn(ctx, now, resource, "Too many series: what else a resource says is left out.")
			resource.Attributes().RemoveIf(func(name string, _ pcommon.Value) bool {
				return name != serviceName && name != serviceNamespace && name != serviceInstance
			})
		}
		judge := func(metric uint64, attributes pcommon.Map, size int) {
			if _, ok := attributes.Get(refused); ok {
				return
			}
			switch {
			case !known:
				attributes.PutStr(refused, tooManyServices)
			case !l.series.admit(now, mix(metric, l.hashOfMap(attributes)), size, by):
				l.warn(ctx, now, resource, "Too many series: the new ones are refused.")
				attributes.PutStr(refused, tooManySeries)
			}
		}
		for _, s := range r.ScopeMetrics().All() {
			for _, m := range s.Metrics().All() {
				eachPoint(m, mix(instance, l.hashOfMetric(m)), judge)
			}
		}
	}
	return md, nil
}

// eachPoint calls judge for each data point of a metric, with the number of series that Prometheus makes of it.
func eachPoint(m pmetric.Metric, hash uint64, judge func(metric uint64, attributes pcommon.Map, size int)) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		for _, p := range m.Gauge().DataPoints().All() {
			judge(hash, p.Attributes(), 1)
		}
	case pmetric.MetricTypeSum:
		for _, p := range m.Sum().DataPoints().All() {
			judge(hash, p.Attributes(), 1)
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			judge(hash, p.Attributes(), p.BucketCounts().Len()+classicSeriesExtra)
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			judge(hash, p.Attributes(), 1)
		}
	case pmetric.MetricTypeSummary:
		for _, p := range m.Summary().DataPoints().All() {
			judge(hash, p.Attributes(), p.QuantileValues().Len()+classicSeriesExtra)
		}
	}
}

// warn says what is done, and who is the cause, once a minute.
func (l *limiter) warn(ctx context.Context, now time.Time, resource pcommon.Resource, message string) {
	last := l.warned.Load()
	if now.UnixNano()-last < int64(betweenWarnings) || !l.warned.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	fields := []zap.Field{zap.String("address", addressOf(ctx))}
	for _, name := range [...]string{serviceName, serviceInstance} {
		if value, ok := resource.Attributes().Get(name); ok {
			fields = append(fields, zap.String(name, value.AsString()))
		}
	}
	l.logger.Warn(message, fields...)
}

// ownersOf returns who a resource is: its service, its process if it says that, and the address that it was sent from.
func (l *limiter) ownersOf(ctx context.Context, resource pcommon.Resource) owners {
	by := owners{service: l.hashOf(resource, serviceNamespace, serviceName)}
	if address := addressOf(ctx); address != "" {
		by.address = maphash.String(l.seed, address)
		if process := l.hashOf(resource, "host.name", "process.pid", "container.id", "k8s.pod.uid"); process != 0 {
			by.process = mix(by.address, process)
		}
	}
	return by
}

// ofNames returns the owners of a resource's names. All resources from one address that do not say their process are of
// one process.
func (by owners) ofNames() owners {
	if by.process == 0 {
		by.process = mix(by.address, 0)
	}
	return by
}

// addressOf returns the address that a request came from, without a port, and nothing of what was not sent here.
func addressOf(ctx context.Context) string {
	addr := client.FromContext(ctx).Addr
	if addr == nil {
		return ""
	}
	if host, _, err := net.SplitHostPort(addr.String()); err == nil {
		return host
	}
	return addr.String()
}

// mix makes one hash of two. Their order matters.
func mix(a, b uint64) uint64 {
	return (bits.RotateLeft64(a, 29) ^ b) * 0x9E3779B97F4A7C15
}

// hashOfMetric returns a hash of all that Prometheus' name for a metric is made of.
func (l *limiter) hashOfMetric(m pmetric.Metric) uint64 {
	kind := uint64(m.Type())
	if m.Type() == pmetric.MetricTypeSum && m.Sum().IsMonotonic() {
		kind = math.MaxUint64
	}
	return mix(mix(kind, maphash.String(l.seed, m.Name())), maphash.String(l.seed, m.Unit()))
}

// hashOf returns a hash of the attributes with these names.
func (l *limiter) hashOf(resource pcommon.Resource, names ...string) uint64 {
	var hash uint64
	for _, name := range names {
		var value uint64
		if v, ok := resource.Attributes().Get(name); ok {
			value = l.hashOfValue(v)
		}
		hash = mix(hash, value)
	}
	return hash
}

// hashOfMap returns a hash of attributes in any order.
func (l *limiter) hashOfMap(attributes pcommon.Map) uint64 {
	var hash uint64
	for name, value := range attributes.All() {
		hash += mix(maphash.String(l.seed, name), l.hashOfValue(value))
	}
	return hash
}

func (l *limiter) hashOfValue(value pcommon.Value) uint64 {
	switch value.Type() {
	case pcommon.ValueTypeStr:
		return maphash.String(l.seed, value.Str())
	case pcommon.ValueTypeInt:
		return mix(1, uint64(value.Int()))
	case pcommon.ValueTypeDouble:
		return mix(2, math.Float64bits(value.Double()))
	default:
		return maphash.String(l.seed, value.AsString())
	}
}
