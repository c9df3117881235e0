package console

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// native returns what client_golang exports of the values.
func native(t *testing.T, factor float64, values ...float64) *dto.Histogram {
	t.Helper()
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", NativeHistogramBucketFactor: factor, NativeHistogramZeroThreshold: 1e-9})
	for _, v := range values {
		h.Observe(v)
	}
	var m dto.Metric
	if err := h.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetHistogram()
}

// TestQuantiles compares with the exact quantiles, which a bucket of factor 1.1 can miss by a tenth.
func TestQuantiles(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	values := make([]float64, 5000)
	for i := range values {
		values[i] = random.ExpFloat64() / 50
	}
	var b buckets
	b.add(native(t, 1.1, values[:1000]...))
	b.add(native(t, 1.1, values[1000:]...))
	slices.Sort(values)
	if got := b.total(); got != 5000 {
		t.Fatalf("total is %v", got)
	}
	for _, q := range []float64{0.01, 0.5, 0.95, 0.99, 1} {
		exact := values[max(int(math.Ceil(q*5000))-1, 0)]
		got, ok := b.quantile(q)
		if !ok || got < exact/1.1 || got > exact*1.1 {
			t.Errorf("quantile %v is %v, exactly %v", q, got, exact)
		}
	}
}

func TestQuantilesOfDifferentResolutions(t *testing.T) {
	var fine, coarse buckets
	fine.add(native(t, 1.05, 0.01, 0.02, 0.02, 0.02))
	coarse.add(native(t, 1.6, 0.01))
	d := fine.since(coarse)
	if d.total() != 3 {
		t.Errorf("total is %v, want the 3 that are new", d.total())
	}
	if v, ok := d.quantile(0.5); !ok || v < 0.02/1.6 || v > 0.02*1.6 {
		t.Errorf("median is %v", v)
	}
	if fine.total() != 4 {
		t.Error("the histogram itself has changed")
	}
}

func TestQuantilesOfNothing(t *testing.T) {
	var b buckets
	if b.quantiles() != nil || b.since(buckets{}).quantiles() != nil {
		t.Error("no values have quantiles")
	}
	b.add(native(t, 1.1, 0, 0, 0, 5))
	if v, ok := b.quantile(0.5); !ok || v != 0 {
		t.Errorf("the median of mostly zeros is %v", v)
	}
	b.add(&dto.Histogram{}) // without native buckets
	if b.total() != 4 {
		t.Errorf("total is %v", b.total())
	}
}
