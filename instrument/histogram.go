package instrument

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// maxNativeBuckets is how many native buckets a histogram exports at most, whatever it was given: beyond, two become
// one.
const maxNativeBuckets = 160

// histogram is a prometheus.Metric like client_golang's histogram with classic and native buckets, for the path of a
// message: an observation is two additions to memory that connections of other shards do not touch, and there is nothing
// that it could wait for. Everything else happens at scrape.
type histogram struct {
	desc    *prometheus.Desc
	labels  []*dto.LabelPair
	layout  *layout
	created *timestamppb.Timestamp
	shards  []histogramShard

	throttle, keptThrottle throttle // of exemplars
	exemplars              []atomic.Pointer[dto.Exemplar]

	mu  sync.Mutex
	sum float64 // of what was taken out of the shards, in steps
}

type histogramShard struct {
	sum   *atomic.Int64 // in steps, since the last scrape, so that it can't overflow
	cells []atomic.Int64
}

func newHistogram(desc *prometheus.Desc, l *layout, shards int, created time.Time, labelValues ...string) *histogram {
	h := &histogram{
		desc:      desc,
		labels:    prometheus.MakeLabelPairs(desc, labelValues),
		layout:    l,
		created:   timestamppb.New(created),
		shards:    make([]histogramShard, shards),
		exemplars: make([]atomic.Pointer[dto.Exemplar], len(l.classic)+1),
	}
	for i := range h.shards {
		// The sum lies in front of its cells, with a cache line on either side that nobody writes to.
		block := make([]atomic.Int64, cacheLine/8+1+len(l.cells)+cacheLine/8)
		h.shards[i] = histogramShard{sum: &block[cacheLine/8], cells: block[cacheLine/8+1 : len(block)-cacheLine/8]}
	}
	return h
}

// observe adds a value in steps: nanoseconds or bytes.
func (h *histogram) observe(shard uint32, v int64) {
	s := &h.shards[shard]
	s.cells[h.layout.cell(v)].Add(1)
	s.sum.Add(max(v, 0))
}

// exemplify remembers the span of an observation, if it is sampled and the last exemplar is old enough. Exemplars of
// slow and failed messages are throttled apart from the others': they are the ones worth following.
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
	h.exemplars[h.layout.cells[h.layout.cell(v)].classic].Store(&dto.Exemplar{
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

// Write implements prometheus.Metric.
func (h *histogram) Write(out *dto.Metric) error {
	counts, sum := h.snapshot()
	classic := make([]uint64, len(h.layout.classic)+1)
	native := make([]bucket, 0, len(counts))
	var total uint64
	for i, n := range counts {
		if n == 0 {
			continue
		}
		total += n
		c := h.layout.cells[i]
		classic[c.classic] += n
		if i > 0 {
			native = addBucket(native, c.key, n)
		}
	}
	d := &dto.Histogram{
		SampleCount:      proto.Uint64(total),
		SampleSum:        proto.Float64(sum),
		CreatedTimestamp: h.created,
		ZeroThreshold:    proto.Float64(h.layout.zeroThreshold()),
		ZeroCount:        proto.Uint64(counts[0]),
	}
	h.writeClassic(d, classic)
	writeNative(d, native)
	out.Label, out.Histogram = h.labels, d
	return nil
}

// snapshot reads the cells, all shards together, and the sum in units.
func (h *histogram) snapshot() (counts []uint64, sum float64) {
	counts = make([]uint64, len(h.layout.cells))
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.shards {
		for j := range counts {
			counts[j] += uint64(h.shards[i].cells[j].Load())
		}
		h.sum += float64(h.shards[i].sum.Swap(0))
	}
	return counts, h.sum / h.layout.stepsPerUnit
}

func (h *histogram) writeClassic(d *dto.Histogram, counts []uint64) {
	d.Bucket = make([]*dto.Bucket, 0, len(counts))
	var cumulative uint64
	for i, bound := range h.layout.classic {
		cumulative += counts[i]
		d.Bucket = append(d.Bucket, &dto.Bucket{
			UpperBound:      proto.Float64(float64(bound) / h.layout.stepsPerUnit),
			CumulativeCount: proto.Uint64(cumulative),
			Exemplar:        h.exemplars[i].Load(),
		})
	}
	if e := h.exemplars[len(h.layout.classic)].Load(); e != nil {
		d.Bucket = append(d.Bucket, &dto.Bucket{
			UpperBound:      proto.Float64(math.Inf(+1)),
			CumulativeCount: d.SampleCount,
			Exemplar:        e,
		})
	}
	for _, b := range d.Bucket { // who scrapes native buckets gets the same
		if b.Exemplar != nil {
			d.Exemplars = append(d.Exemplars, b.Exemplar)
		}
	}
}
