package instrument

import (
	"math"
	"math/bits"
	"slices"
)

// schema is the resolution of the native buckets: 2^3 buckets for each doubling, a factor of 1.09 from one to the next.
// client_golang chooses the same for NativeHistogramBucketFactor 1.1.
const (
	schema    = 3
	perOctave = 1 << schema
)

// slotBits is how many bits after the first one of a value lead to its cell. They make slots narrower than a native
// bucket, so that only the next few cells have to be compared.
const slotBits = 4

// layout divides the non-negative integers that a histogram observes, nanoseconds or bytes, into cells. A cell is a
// native bucket, or one part of a native bucket that a classic bound cuts in two. So a cell determines both the native
// bucket and the classic one. An observation is one addition, and a scrape that reads the cells once gets both views of
// the same observations.
type layout struct {
	upper []int64                // by cell: the largest value in it
	first [63 << slotBits]uint16 // by the first bit of a value and those after it: the cell of the smallest one

	stepsPerUnit  float64   // 1e9 for durations, 1 for sizes
	zeroThreshold float64   // upper bound of the zero bucket, cell 0, in units
	bounds        []float64 // of the classic buckets, in units
	classic       []int64   // the same in steps
	cells         []cell
}

// cell holds the buckets that a cell belongs to.
type cell struct {
	key     int // of the native bucket; unused in cell 0
	classic int // index into the classic buckets; len(layout.classic) is +Inf
}

// newLayout makes the layout of values from 2^minExp to 2^maxExp units. Smaller values fall into the zero bucket,
// larger ones into the last bucket. The classic bounds are in units and lie in this range.
func newLayout(stepsPerUnit float64, minExp, maxExp int, classic []float64) *layout {
	l := &layout{stepsPerUnit: stepsPerUnit, zeroThreshold: math.Ldexp(1, minExp)}
	for _, b := range classic {
		steps := math.Round(b * stepsPerUnit)
		l.classic, l.bounds = append(l.classic, int64(steps)), append(l.bounds, steps/stepsPerUnit)
	}
	l.add(l.largest(minExp*perOctave), cell{})
	next := 0 // classic bucket
	for key := minExp*perOctave + 1; key <= maxExp*perOctave; key++ {
		upper := l.largest(key)
		if next < len(l.classic) && l.classic[next] <= upper {
			l.add(l.classic[next], cell{key, next})
			next++
		}
		l.add(upper, cell{key, next})
	}
	l.upper[len(l.upper)-1] = math.MaxInt64
	c := 0
	for i := range l.first {
		exponent, slot := i>>slotBits, i&(1<<slotBits-1)
		for math.Ldexp(1+float64(slot)/(1<<slotBits), exponent) > float64(l.upper[c]) {
			c++
		}
		l.first[i] = uint16(c)
	}
	return l
}

// add appends a cell up to a value, unless no value is left for it: there are more buckets than small integers.
func (l *layout) add(upper int64, c cell) {
	if n := len(l.upper); n == 0 || upper > l.upper[n-1] {
		l.cells, l.upper = append(l.cells, c), append(l.upper, upper)
	}
}

// largest returns the largest value that is not above the native bucket of key.
func (l *layout) largest(key int) int64 {
	v := int64(math.Exp2(float64(key)/perOctave) * l.stepsPerUnit)
	for l.key(v+1) <= key {
		v++
	}
	for v > 0 && l.key(v) > key {
		v--
	}
	return v
}

// key returns the key of the native bucket of v, which is positive: the bucket above 2^((key-1)/8) units, up to and
// including 2^(key/8).
func (l *layout) key(v int64) int {
	fraction, exponent := math.Frexp(float64(v) / l.stepsPerUnit)
	bounds := octave()
	i, _ := slices.BinarySearch(bounds[:], fraction)
	return (exponent-1)*perOctave + i
}

// octave returns the bounds of the native buckets from 1/2 to 1. They equal those of Prometheus to the last bit, which
// computed ones would not.
func octave() [perOctave]float64 {
	return [perOctave]float64{
		0.5, 0.5452538663326288, 0.5946035575013605, 0.6484197773255048,
		0.7071067811865475, 0.7711054127039704, 0.8408964152537144, 0.9170040432046711,
	}
}

// cell returns the index of the cell that v belongs to, and how far into the cell v is.
func (l *layout) cell(v int64) (i int, offset uint64) {
	if v <= 0 {
		return 0, 0
	}
	zeros := bits.LeadingZeros64(uint64(v))
	slot := uint64(v) << zeros >> (63 - slotBits) & (1<<slotBits - 1)
	i = int(l.first[(63-zeros)<<slotBits|int(slot)])
	for v > l.upper[i] {
		i++
	}
	return i, uint64(v - l.lower(i))
}

// lower returns the smallest value of a cell.
func (l *layout) lower(i int) int64 {
	if i == 0 {
		return 0
	}
	return l.upper[i-1] + 1
}

// coarser returns the key of the bucket of half the resolution that contains the bucket of key.
func coarser(key int) int { return (key + 1) >> 1 }

// shardCount returns how many copies there are of a value that all connections write to. There is at most one per
// processor, so connections on different processors do not wait for each other's cache lines.
func shardCount(processors int) int {
	const most = 16
	return 1 << bits.Len(uint(min(processors, most)-1))
}
