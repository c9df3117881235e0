package instrument

import (
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// sampler decides which received messages get a span, before one is started: even a span that is not sampled costs half
// a microsecond and several allocations.
type sampler struct {
	all       bool
	threshold uint64 // of 2^64 messages
	cap       limiter
}

// A verdict says whether a message gets a span, and if not, why.
type verdict uint8

const (
	sampled verdict = iota
	untraced
	unsampledParent
	suppressedByRatio
	suppressedByCap
)

func (s *sampler) init(ratio float64, perSecond int) {
	if s.all = ratio >= 1; !s.all {
		s.threshold = uint64(ratio * (1 << 64))
	}
	s.cap.init(perSecond)
}

// decide asks the sampler, unless there are no spans at all.
func (o *Observer) decide(now time.Duration, parent trace.SpanContext) verdict {
	if !o.tracing {
		return untraced
	}
	return o.sampler.decide(now, parent)
}

// suppressed counts a span that was not made, by what kept it from being made.
func (o *Observer) suppressed(v verdict) {
	switch v {
	case suppressedByRatio:
		o.metrics.suppressedByRatio.Inc()
	case suppressedByCap:
		o.metrics.suppressedByCap.Inc()
	case sampled, untraced, unsampledParent:
	}
}

// decide takes the sender's context if the sender is trusted, the ratio otherwise, and the cap in any case.
func (s *sampler) decide(now time.Duration, parent trace.SpanContext) verdict {
	switch {
	case parent.IsValid():
		if !parent.IsSampled() {
			return unsampledParent
		}
	case !s.all && rand.Uint64() >= s.threshold:
		return suppressedByRatio
	}
	if !s.cap.allow(now) {
		return suppressedByCap
	}
	return sampled
}
