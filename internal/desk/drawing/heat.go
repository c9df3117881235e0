package drawing

import (
	"math"
	"slices"
	"strconv"

	"github.com/sockscope/sockscope/internal/desk/metrics"
)

// classicBuckets makes buckets, by time, of series that have the bound of each as the label le. Counts are cumulative.
func classicBuckets(series []metrics.Series) map[int64][]metrics.Bucket {
	type bound struct {
		le     float64
		points map[int64]float64
	}
	groups := make(map[float64]*bound) // those of different instances are added up
	for _, s := range series {
		le, err := strconv.ParseFloat(s.Labels["le"], 64)
		if err != nil {
			continue
		}
		b := groups[le]
		if b == nil {
			b = &bound{le, make(map[int64]float64)}
			groups[le] = b
		}
		for _, p := range s.Points {
			b.points[p.At] += p.Value
		}
	}
	var bounds []*bound
	for _, b := range groups {
		bounds = append(bounds, b)
	}
	slices.SortFunc(bounds, func(a, b *bound) int {
		if a.le < b.le {
			return -1
		}
		return 1
	})
	columns := make(map[int64][]metrics.Bucket)
	for i, b := range bounds {
		lower := 0.0
		switch {
		case i > 0:
			lower = bounds[i-1].le
		case b.le <= 0:
			lower = b.le - 1
		}
		for t, count := range b.points {
			if i > 0 {
				count -= bounds[i-1].points[t]
			}
			if upper := b.le; count > 0 {
				if math.IsInf(upper, 1) { // it has to end somewhere
					upper = 2 * max(lower, math.SmallestNonzeroFloat32)
				}
				columns[t] = append(columns[t], metrics.Bucket{Lower: lower, Upper: upper, Count: count})
			}
		}
	}
	return columns
}

// heat puts buckets into rows that all columns share. Native histograms can have finer buckets at one time than at
// another: the counts of those are shared out.
func heat(columns [][]metrics.Bucket, least float64, native bool) *Heat {
	var bounds []float64
	for _, column := range columns {
		for _, b := range column {
			if b.Count > least {
				bounds = append(bounds, max(b.Lower, min(0, b.Upper)), b.Upper)
			}
		}
	}
	slices.Sort(bounds)
	bounds = slices.CompactFunc(bounds, func(a, b float64) bool { return a == b || math.Abs(a-b) <= 1e-9*math.Abs(b) })
	if native {
		// Empty buckets are left out. Without them, the rows would be no even scale.
		bounds = fillUp(bounds)
	}
	if rows := len(bounds) - 1; rows > maxHeatRows {
		every := (rows + maxHeatRows - 1) / maxHeatRows
		var fewer []float64
		for i := 0; i < len(bounds); i += every {
			fewer = append(fewer, bounds[i])
		}
		if last := bounds[len(bounds)-1]; fewer[len(fewer)-1] != last {
			fewer = append(fewer, last)
		}
		bounds = fewer
	}
	h := &Heat{Counts: make([][]Number, len(columns))}
	for _, b := range bounds {
		h.Bounds = append(h.Bounds, Number(b))
	}
	for i, column := range columns {
		if len(column) == 0 {
			continue // nobody asked, or nothing was there
		}
		row := make([]Number, max(len(bounds)-1, 0))
		for _, b := range column {
			if b.Count > least {
				share(row, bounds, b)
			}
		}
		h.Counts[i] = row
	}
	return h
}

// fillUp adds bounds where the next one is much further away than the one before, so that the rows are an even scale.
func fillUp(bounds []float64) []float64 {
	narrowest := math.Inf(1)
	for i := 1; i < len(bounds); i++ {
		if bounds[i-1] > 0 {
			narrowest = min(narrowest, bounds[i]/bounds[i-1])
		}
	}
	if math.IsInf(narrowest, 1) || narrowest <= 1 {
		return bounds
	}
	narrowest = max(narrowest, 1.02)
	var filled []float64
	for i, b := range bounds {
		if i > 0 && bounds[i-1] > 0 {
			steps := int(math.Round(math.Log(b/bounds[i-1]) / math.Log(narrowest)))
			steps = min(steps, 4*maxHeatRows)
			for k := 1; k < steps; k++ {
				filled = append(filled, bounds[i-1]*math.Pow(b/bounds[i-1], float64(k)/float64(steps)))
			}
		}
		filled = append(filled, b)
	}
	return filled
}

// share adds a bucket's count to the rows that it covers.
func share(row []Number, bounds []float64, b metrics.Bucket) {
	lower := max(b.Lower, min(0, b.Upper))
	scale := func(v float64) float64 { return v }
	if lower > 0 {
		scale = math.Log
	}
	whole := scale(b.Upper) - scale(lower)
	for i := range row {
		from, to := max(lower, bounds[i]), min(b.Upper, bounds[i+1])
		switch {
		case to <= from:
		case whole <= 0:
			row[i] += Number(b.Count)
			return
		default:
			row[i] += Number(b.Count * (scale(to) - scale(from)) / whole)
		}
	}
}
