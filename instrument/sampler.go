package instrument

import (
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// sampler decides which received messages get a span. It decides before the span is started, because even a span that
// is not sampled costs half a microsecond and several allocations.
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

// decide says whether the message or broadcast that begins now gets a span. It follows a trusted parent, if there is
// one, and otherwise uses the ratio.
func (o *Observer) decide(now time.Duration, parent trace.SpanContext) verdict {
	switch {
	case !o.tracing:
		return untraced
	case !parent.IsValid():
		return o.sampler.draw(now)
	case !parent.IsSampled():
		return unsampledParent
	default:
		return o.sampler.limit(now)
	}
}

// draw decides by the ratio, within the cap.
func (s *sampler) draw(now time.Duration) verdict {
	if !s.all && (s.threshold == 0 || rand.Uint64() >= s.threshold) {
		return suppressedByRatio
	}
	return s.limit(now)
}

func (s *sampler) limit(now time.Duration) verdict {
	if !s.cap.allow(now) {
		return suppressedByCap
	}
	return sampled
}

// suppressed counts a span that was not made, by the cause.
func (o *Observer) suppressed(shard uint32, v verdict) {
	switch v {
	case suppressedByRatio:
		o.metrics.suppressed.inc(shard, byRatio)
	case suppressedByCap:
		o.metrics.suppressed.inc(shard, byCap)
	case sampled, untraced, unsampledParent:
	}
}

// The causes of suppression, as metrics.suppressed counts them.
const (
	byRatio = iota
	byCap
)
