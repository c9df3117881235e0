package instrument

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// maxNativeBuckets is the largest number of native buckets that a histogram exports. If it has more, it merges each two
// into one.
const maxNativeBuckets = 160

// histogram is a prometheus.Metric with classic and native buckets like client_golang's histogram, but fast enough for
// the path of a message. An observation is one addition to memory that connections of other shards do not touch.
// Everything else happens at scrape.
//
// A shard's memory, some 2 KiB, is allocated at the shard's first observation. A histogram without observations exports
// nothing.
type histogram struct {
	layout *layout
	shards []atomic.Pointer[[]tally] // by cell
	part   *histogram                // of some of the values, which it exports, too; nil if there is none

	desc    *prometheus.Desc
	labels  []*dto.LabelPair
	created *timestamppb.Timestamp

	throttle, keptThrottle throttle // of exemplars
	exemplars              []atomic.Pointer[dto.Exemplar]

	mu     sync.Mutex
	counts []uint64 // by cell: what was taken out of the shards
	sum    float64  // in steps
}

func newHistogram(desc *prometheus.Desc, l *layout, shards int, created time.Time, labelValues ...string) *histogram {
	return &histogram{
		desc:      desc,
		labels:    prometheus.MakeLabelPairs(desc, labelValues),
		layout:    l,
		created:   timestamppb.New(created),
		shards:    make([]atomic.Pointer[[]tally], shards),
		exemplars: make([]atomic.Pointer[dto.Exemplar], len(l.classic)+1),
	}
}

// tally holds the count and the sum of the values in a cell of one shard. Both are in one word, so one addition updates
// both: the count is in the low bits, the sum in the high bits. The sum is of what exceeds the cell's lower bound. The
// tally is emptied long before either of them overflows.
type tally struct{ atomic.Uint64 }

const (
	countBits = 24
	// tallyFull are the bits that say that the count or the sum is half full. Until the tally is emptied, it has room
	// for some hundred more observations at the same moment.
	tallyFull = 1<<63 | 1<<(countBits-1)
	maxOffset = 1 << 32
)

// observe adds a value in steps: nanoseconds or bytes.
func (h *histogram) observe(shard uint32, v int64) { h.observeIn(h.of(shard), v) }

// of returns the tallies of a shard. They are always the same ones.
func (h *histogram) of(shard uint32) *[]tally {
	if tallies := h.shards[shard].Load(); tallies != nil {
		return tallies
	}
	return h.open(shard)
}

// observeIn is like observe, for a shard whose tallies are known.
func (h *histogram) observeIn(tallies *[]tally, v int64) {
	i, offset := h.layout.cell(v)
	if offset >= maxOffset { // durations above half a minute, sizes above 32 GiB
		h.take(i, 1, offset)
		return
	}
	t := &(*tallies)[i]
	if t.Add(offset<<countBits|1)&tallyFull != 0 {
		h.empty(i, t)
	}
}

// open makes the tallies of a shard, with an unused cache line on either side.
func (h *histogram) open(shard uint32) *[]tally {
	const margin = cacheLine / 8
	block := make([]tally, margin+len(h.layout.cells)+margin)
	tallies := block[margin : len(block)-margin]
	if h.shards[shard].CompareAndSwap(nil, &tallies) {
		return &tallies
	}
	return h.shards[shard].Load()
}

// empty moves the content of a tally of cell i to the totals.
func (h *histogram) empty(i int, t *tally) {
	word := t.Swap(0)
	h.take(i, word&(1<<countBits-1), word>>countBits)
}

// take adds n values of cell i, which exceed its lower bound by offset together.
func (h *histogram) take(i int, n, offset uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.add(i, n, offset)
}

func (h *histogram) add(i int, n, offset uint64) {
	if h.counts == nil {
		h.counts = make([]uint64, len(h.layout.cells))
	}
	h.counts[i] += n
	h.sum += float64(n)*float64(h.layout.lower(i)) + float64(offset)
}

// exemplify remembers the span of an observation, if it is sampled and the last exemplar is old enough. Exemplars of
// slow and failed messages have a throttle of their own, because they are the ones worth following.
func (h *histogram) exemplify(now time.Duration, v int64, span trace.SpanContext, kept bool) {
	if !span.IsSampled() {
		return
	}
	t := &h.throttle
	if kept {
		t = &h.keptThrottle
	}
	if !t.allow(now) {
		return
	}
	i, _ := h.layout.cell(v)
	h.exemplars[h.layout.cells[i].classic].Store(&dto.Exemplar{
		Label: []*dto.LabelPair{
			{Name: proto.String("span_id"), Value: proto.String(span.SpanID().String())},
			{Name: proto.String("trace_id"), Value: proto.String(span.TraceID().String())},
		},
		Value:     proto.Float64(float64(v) / h.layout.stepsPerUnit),
		Timestamp: timestamppb.Now(),
	})
}

// Desc implements prometheus.Metric.
func (h *histogram) Desc() *prometheus.Desc { return h.desc }

// used reports whether there was an observation.
func (h *histogram) used() bool {
	if h.part != nil && h.part.used() {
		return true
	}
	for i := range h.shards {
		if h.shards[i].Load() != nil {
			return true
		}
	}
	return false
}

// Write implements prometheus.Metric.
func (h *histogram) Write(out *dto.Metric) error {
	counts, sum := h.totals()
	native := make([]bucket, 0, maxNativeBuckets)
	for i, n := range counts {
		if i > 0 && n > 0 {
			native = addBucket(native, h.layout.cells[i].key, n)
		}
	}
	d := &dto.Histogram{
		SampleSum:        proto.Float64(sum / h.layout.stepsPerUnit),
		CreatedTimestamp: h.created,
		ZeroThreshold:    &h.layout.zeroThreshold,
		ZeroCount:        &counts[0],
	}
	h.writeClassic(d, counts)
	writeNative(d, native)
	out.Label, out.Histogram = h.labels, d
	return nil
}

// totals returns the number of values in each cell, and the sum of all values in steps.
func (h *histogram) totals() (counts []uint64, sum float64) {
	h.mu.Lock()
	h.collect()
	counts, sum = slices.Clone(h.counts), h.sum
	h.mu.Unlock()
	if h.part == nil {
		return counts, sum
	}
	others, more := h.part.totals()
	for i, n := range others {
		counts[i] += n
	}
	return counts, sum + more
}

// total returns the number of values.
func (h *histogram) total() (n uint64) {
	counts, _ := h.totals()
	for _, c := range counts {
		n += c
	}
	return n
}

// collect empties the shards.
func (h *histogram) collect() {
	if h.counts == nil {
		h.counts = make([]uint64, len(h.layout.cells))
	}
	for s := range h.shards {
		tallies := h.shards[s].Load()
		if tallies == nil {
			continue
		}
		for i := range *tallies {
			if t := &(*tallies)[i]; t.Load() != 0 {
				word := t.Swap(0)
				h.add(i, word&(1<<countBits-1), word>>countBits)
			}
		}
	}
}

// writeClassic allocates all buckets at once: there are many of them, and each has a count to point to.
func (h *histogram) writeClassic(d *dto.Histogram, counts []uint64) {
	type bucket struct {
		dto.Bucket

		count uint64
	}
	last := len(h.layout.classic) // +Inf
	buckets := make([]bucket, last+1)
	for i, n := range counts {
		buckets[h.layout.cells[i].classic].count += n
	}
	d.Bucket = make([]*dto.Bucket, 0, len(buckets))
	var total uint64
	for i := range buckets {
		b := &buckets[i]
		total += b.count
		b.count = total
		b.CumulativeCount, b.Exemplar = &b.count, h.exemplars[i].Load()
		if b.Exemplar != nil { // native buckets have the same
			d.Exemplars = append(d.Exemplars, b.Exemplar)
		}
		if i < last {
			b.UpperBound = &h.layout.bounds[i]
		} else {
			b.UpperBound = proto.Float64(math.Inf(+1))
		}
		if i < last || b.Exemplar != nil { // +Inf is implied otherwise
			d.Bucket = append(d.Bucket, &b.Bucket)
		}
	}
	d.SampleCount = &buckets[last].count
}
