package instrument

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/testing/protocmp"
)

// twin is a histogram of ours beside one of client_golang's with the same buckets.
type twin struct {
	ours   *histogram
	theirs prometheus.Histogram
	steps  float64
}

func newTwin(steps float64, minExp, maxExp int, classic []float64) twin {
	return twin{
		ours: newHistogram(prometheus.NewDesc("h", "help", nil, nil), newLayout(steps, minExp, maxExp, classic), 4, time.Now()),
		theirs: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "h", Help: "help", Buckets: classic,
			NativeHistogramBucketFactor: 1.1, NativeHistogramZeroThreshold: math.Exp2(float64(minExp)),
		}),
		steps: steps,
	}
}

func (w twin) observe(shard uint32, v int64) {
	w.ours.observe(shard, v)
	w.theirs.Observe(float64(v) / w.steps)
}

func (w twin) diff(t testing.TB) string {
	t.Helper()
	var ours, theirs dto.Metric
	if err := w.ours.Write(&ours); err != nil {
		t.Fatal(err)
	}
	if err := w.theirs.Write(&theirs); err != nil {
		t.Fatal(err)
	}
	return cmp.Diff(theirs.GetHistogram(), ours.GetHistogram(), protocmp.Transform(),
		protocmp.IgnoreFields(&dto.Histogram{}, "created_timestamp"), // ours is when the observer was made
		cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(a) }))
}

func durationTwin() twin { return newTwin(1e9, -20, 20, durationBuckets(0.0001)) }

func sizeTwin() twin { return newTwin(1, -1, 40, sizeBuckets()) }

// TestHistogram compares what is exported, classic and native, with what client_golang exports for the same values.
func TestHistogram(t *testing.T) {
	everyBound := func(w twin) (values []int64) {
		for _, b := range w.ours.layout.classic {
			values = append(values, b-1, b, b+1)
		}
		for key := -20 * perOctave; key < 20*perOctave; key++ {
			b := int64(math.Exp2(float64(key)/perOctave) * w.steps)
			values = append(values, b-1, b, b+1)
		}
		return values
	}
	random := func(twin) (values []int64) {
		for range 10_000 {
			values = append(values, int64(math.Exp2(rand.Float64()*35)))
		}
		return values
	}
	small := func(twin) (values []int64) { return []int64{0, 1, 2, 3, 4, 5, 7, 8, 9, 100, 1 << 20} }
	for name, values := range map[string]func(twin) []int64{
		"zero": func(twin) []int64 { return nil }, "bounds": everyBound, "random": random, "small": small,
	} {
		for unit, twins := range map[string]func() twin{"durations": durationTwin, "sizes": sizeTwin} {
			t.Run(name+" "+unit, func(t *testing.T) {
				// Few enough at a time not to need more native buckets than are exported.
				for some := range slices.Chunk(append(values(twins()), 0), maxNativeBuckets) {
					w := twins()
					for i, v := range some {
						if v >= 0 {
							w.observe(uint32(i)%4, v)
						}
					}
					if diff := w.diff(t); diff != "" {
						t.Fatalf("-client_golang +ours:\n%s", diff)
					}
				}
			})
		}
	}
}

// TestHistogramExtremes gives what lies outside of all buckets.
func TestHistogramExtremes(t *testing.T) {
	h := durationTwin().ours
	for _, v := range []int64{math.MinInt64, -1, 0, math.MaxInt64} {
		h.observe(0, v)
	}
	var m dto.Metric
	if err := h.Write(&m); err != nil {
		t.Fatal(err)
	}
	d := m.GetHistogram()
	if d.GetSampleCount() != 4 || d.GetZeroCount() != 3 || len(d.GetPositiveDelta()) != 1 {
		t.Errorf("got %v, want 3 in the zero bucket and 1 in the last", d)
	}
	if last := d.GetBucket()[len(d.GetBucket())-1]; last.GetCumulativeCount() != 3 {
		t.Errorf("%v have at most %v s, want 3", last.GetCumulativeCount(), last.GetUpperBound())
	}
}

// TestHistogramIsBounded fills every bucket: the exported ones become coarser, and none of the values is lost.
func TestHistogramIsBounded(t *testing.T) {
	h := sizeTwin().ours
	want := uint64(0)
	for key := range 40 * perOctave {
		h.observe(0, int64(math.Ceil(math.Exp2(float64(key)/perOctave))))
		want++
	}
	var m dto.Metric
	if err := h.Write(&m); err != nil {
		t.Fatal(err)
	}
	d := m.GetHistogram()
	if n := len(d.GetPositiveDelta()); n > maxNativeBuckets {
		t.Errorf("%d native buckets, want at most %d", n, maxNativeBuckets)
	}
	var inBuckets, previous int64
	for _, delta := range d.GetPositiveDelta() {
		previous += delta
		inBuckets += previous
	}
	if uint64(inBuckets) != want || d.GetSampleCount() != want {
		t.Errorf("%d in buckets, %d in all, want %d", inBuckets, d.GetSampleCount(), want)
	}
	// The same values at the resolution that was chosen, by client_golang.
	theirs := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "h", NativeHistogramBucketFactor: 1.0001 * math.Exp2(math.Exp2(-float64(d.GetSchema()))), NativeHistogramZeroThreshold: 0.5,
	})
	for key := range 40 * perOctave {
		theirs.Observe(math.Ceil(math.Exp2(float64(key) / perOctave)))
	}
	var other dto.Metric
	if err := theirs.Write(&other); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(other.GetHistogram().GetPositiveDelta(), d.GetPositiveDelta()); diff != "" {
		t.Errorf("-client_golang +ours:\n%s", diff)
	}
}

// TestHistogramConcurrently scrapes while values come in: both views are of the same observations at any time.
func TestHistogramConcurrently(t *testing.T) {
	h := durationTwin().ours
	const goroutines, each = 4, 20_000
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := range each {
				h.observe(uint32(g), int64(i)*int64(time.Microsecond))
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true
		default:
		}
		var m dto.Metric
		if err := h.Write(&m); err != nil {
			t.Fatal(err)
		}
		d := m.GetHistogram()
		sum, count := int64(0), int64(d.GetZeroCount())
		for _, delta := range d.GetPositiveDelta() {
			sum += delta
			count += sum
		}
		if uint64(count) != d.GetSampleCount() {
			t.Fatalf("%d in native buckets, %d in all", count, d.GetSampleCount())
		}
		if ended && count != goroutines*each {
			t.Errorf("%d observations, want %d", count, goroutines*each)
		}
	}
}

// FuzzHistogram wants every value in the same buckets as client_golang puts it.
func FuzzHistogram(f *testing.F) {
	f.Add(int64(0), int64(1), int64(1e9))
	f.Add(int64(250_000_000), int64(100_000), int64(64))
	f.Fuzz(func(t *testing.T, a, b, c int64) {
		for _, w := range []twin{durationTwin(), sizeTwin()} {
			for _, v := range []int64{a, b, c} {
				if v >= 0 && float64(v)/w.steps < math.Exp2(20) {
					w.observe(0, v)
				}
			}
			if diff := w.diff(t); diff != "" {
				t.Errorf("-client_golang +ours:\n%s", diff)
			}
		}
	})
}
