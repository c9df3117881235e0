package instrument

import (
	"math"
	"math/bits"
)

// schema is the resolution of the native buckets: 2^3 of them for each doubling, a factor of 1.09 from one to the next.
// It is what client_golang chooses for NativeHistogramBucketFactor 1.1.
const (
	schema     = 3
	perOctave  = 1 << schema
	slotBits   = 5 // of the mantissa; fine enough that no slot holds two bounds
	slotShift  = 52 - slotBits
	mantissa   = 1<<52 - 1
	noBoundary = math.MaxInt64
)

// layout divides the non-negative integers that a histogram observes, nanoseconds or bytes, into cells: the native
// buckets, each of which is cut in two where a classic bound falls into it. One cell tells both the native bucket and
// the classic one, so an observation is one addition, and a scrape that reads the cells once gets both views of the very
// same observations.
type layout struct {
	stepsPerUnit float64 // 1e9 for durations, 1 for sizes
	classic      []int64 // upper bounds, in steps
	lowest       int     // key of the first native bucket; what is below is the zero bucket, cell 0
	cells        []cell
	first        []uint16 // by native bucket: its first cell
	boundary     []int64  // by native bucket: the classic bound within it, or noBoundary

	slots  [1 << slotBits]uint8  // by the mantissa's first bits: the first bound that is not below them
	bounds [perOctave + 1]uint64 // the mantissas of the bounds within an octave
}

// cell says which buckets it belongs to.
type cell struct {
	key     int // of the native bucket; unused in cell 0
	classic int // index into the classic buckets; len(layout.classic) is +Inf
}

// newLayout makes the layout of values from 2^minExp to 2^maxExp units. What is smaller is the zero bucket, what is
// larger counts in the last one. The classic bounds are in units and lie between.
func newLayout(stepsPerUnit float64, minExp, maxExp int, classic []float64) *layout {
	l := &layout{stepsPerUnit: stepsPerUnit, lowest: minExp*perOctave + 1}
	for _, b := range classic {
		l.classic = append(l.classic, int64(math.Round(b*stepsPerUnit)))
	}
	for i, b := range octave() {
		l.bounds[i] = math.Float64bits(b) & mantissa
	}
	l.bounds[perOctave] = math.MaxUint64
	for slot := range l.slots {
		for l.bounds[l.slots[slot]] < uint64(slot)<<slotShift {
			l.slots[slot]++
		}
	}
	l.cells = []cell{{}}
	next := 0 // classic bucket
	for key := l.lowest; key <= maxExp*perOctave; key++ {
		upper := math.Exp2(float64(key)/perOctave) * stepsPerUnit
		l.first = append(l.first, uint16(len(l.cells)))
		boundary := int64(noBoundary)
		l.cells = append(l.cells, cell{key, next})
		if next < len(l.classic) && float64(l.classic[next]) <= upper {
			boundary = l.classic[next]
			next++
			l.cells = append(l.cells, cell{key, next})
		}
		l.boundary = append(l.boundary, boundary)
	}
	return l
}

// octave returns the bounds of the native buckets from 1/2 to 1. They are Prometheus' to the last bit, which computing
// them would not yield.
func octave() [perOctave]float64 {
	return [perOctave]float64{
		0.5, 0.5452538663326288, 0.5946035575013605, 0.6484197773255048,
		0.7071067811865475, 0.7711054127039704, 0.8408964152537144, 0.9170040432046711,
	}
}

// cell returns the index of the cell that v belongs to.
func (l *layout) cell(v int64) int {
	if v <= 0 {
		return 0
	}
	i := l.key(v) - l.lowest
	if i < 0 {
		return 0
	}
	if i >= len(l.first) {
		return len(l.cells) - 1
	}
	c := int(l.first[i])
	if v > l.boundary[i] {
		c++
	}
	return c
}

// key returns the key of the native bucket of v, which is positive: the bucket above 2^((key-1)/8) units, up to and
// including 2^(key/8).
func (l *layout) key(v int64) int {
	b := math.Float64bits(float64(v) / l.stepsPerUnit)
	m := b & mantissa
	i := l.slots[m>>slotShift]
	if m > l.bounds[i] {
		i++
	}
	return (int(b>>52)-1023)*perOctave + int(i)
}

// zeroThreshold is the upper bound of the zero bucket, in units.
func (l *layout) zeroThreshold() float64 { return math.Exp2(float64(l.lowest-1) / perOctave) }

// coarser returns the key of the bucket of half the resolution that contains the bucket of key.
func coarser(key int) int { return (key + 1) >> 1 }

// shardCount is how often a value that all connections write to is there: once per processor at most, so that
// connections on different ones do not wait for each other's cache lines.
func shardCount(processors int) int {
	const most = 16
	return 1 << bits.Len(uint(min(processors, most)-1))
}
