package console

import (
	"math"

	dto "github.com/prometheus/client_model/go"
)

// buckets are the counts of one or more native histograms: bucket i of schema s holds the values in (b^(i-1), b^i],
// where b is 2^(2^-s). See https://prometheus.io/docs/specs/native_histograms.
type buckets struct {
	schema int32
	zero   float64 // how many values are in the zero bucket
	counts map[int32]float64
}

// add adds a histogram of non-negative values. A histogram without native buckets adds nothing.
func (b *buckets) add(h *dto.Histogram) {
	if h.Schema == nil {
		return
	}
	other := buckets{schema: h.GetSchema(), zero: float64(h.GetZeroCount()), counts: make(map[int32]float64)}
	index, count, next := int32(0), int64(0), 0
	deltas := h.GetPositiveDelta()
	for _, span := range h.GetPositiveSpan() {
		index += span.GetOffset()
		for range span.GetLength() {
			if next >= len(deltas) {
				break
			}
			count += deltas[next]
			next++
			other.counts[index] += float64(count)
			index++
		}
	}
	if b.counts == nil {
		*b = other
		return
	}
	b.combine(other, 1)
}

// since returns the values that b has more than an earlier state of itself.
func (b buckets) since(earlier buckets) buckets {
	d := buckets{schema: b.schema, zero: b.zero, counts: make(map[int32]float64, len(b.counts))}
	for i, n := range b.counts {
		d.counts[i] = n
	}
	d.combine(earlier, -1)
	return d
}

// combine adds the counts of other, times sign, at the coarser of the two resolutions.
func (b *buckets) combine(other buckets, sign float64) {
	if other.counts == nil {
		return
	}
	if other.schema < b.schema {
		b.coarsen(other.schema)
	}
	shift := other.schema - b.schema
	b.zero += sign * other.zero
	for i, n := range other.counts {
		b.counts[coarser(i, shift)] += sign * n
	}
}

func (b *buckets) coarsen(schema int32) {
	counts := make(map[int32]float64, len(b.counts))
	for i, n := range b.counts {
		counts[coarser(i, b.schema-schema)] += n
	}
	b.schema, b.counts = schema, counts
}

// coarser is the bucket that contains bucket i in a schema that is lower by shift.
func coarser(i, shift int32) int32 { return (i-1)>>shift + 1 }

func (b buckets) total() float64 {
	sum := b.zero
	for _, n := range b.counts {
		sum += n
	}
	return sum
}

// quantile returns the value below which the share q of all values lies, interpolated within its bucket as Prometheus
// does. It returns false if there are no values.
func (b buckets) quantile(q float64) (float64, bool) {
	total := b.total()
	if total <= 0 {
		return 0, false
	}
	rank := q * total
	if rank <= b.zero {
		return 0, true
	}
	below := b.zero
	first, last := int32(math.MaxInt32), int32(math.MinInt32)
	for i, n := range b.counts {
		if n > 0 {
			first, last = min(first, i), max(last, i)
		}
	}
	for i := first; i <= last; i++ {
		n := b.counts[i]
		if n <= 0 || below+n < rank && i < last {
			below += max(n, 0)
			continue
		}
		return b.bound(float64(i-1) + (rank-below)/n), true
	}
	return b.bound(float64(last)), true
}

// bound is the upper bound of bucket i, which may lie between two.
func (b buckets) bound(i float64) float64 { return math.Exp2(i * math.Exp2(-float64(b.schema))) }

// quantiles returns the usual three quantiles, or nil if there are no values.
func (b buckets) quantiles() *Quantiles {
	p50, ok := b.quantile(0.5)
	if !ok {
		return nil
	}
	p95, _ := b.quantile(0.95)
	p99, _ := b.quantile(0.99)
	return &Quantiles{P50: p50, P95: p95, P99: p99}
}
