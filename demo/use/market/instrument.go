package market

import "hash/fnv"

const (
	// octaves is how many waves make up a price. Each is twice as high and four times as long as the one before, which
	// looks like a random walk, yet stays within bounds. With ten ticks a second the longest takes seven hours.
	octaves = 10
	// swing is the part of its base price that a price moves at most: 1/swing.
	swing = 4
	// heights is the sum of the heights of all waves, in units of the lowest.
	heights = 1<<octaves - 1
	// unit is the range of a wave's values, one way.
	unit = 1 << 15

	minBase, maxBase   = 20_00, 500_00 // cents
	minTrade, maxTrade = 20, 200       // the average size of a trade
)

// instrument is what the ticks of one symbol come from.
type instrument struct {
	symbol string
	seed   uint64
	base   int64 // the price that the others are around, in cents
	trade  int64 // the average size
}

func instrumentNamed(symbol string) instrument {
	h := fnv.New64a()
	_, _ = h.Write([]byte(symbol)) // never fails
	seed := mix(h.Sum64())
	return instrument{
		symbol: symbol,
		seed:   seed,
		base:   minBase + int64(mix(seed+1)%(maxBase-minBase)),
		trade:  minTrade + int64(mix(seed+2)%(maxTrade-minTrade)),
	}
}

// price returns the price at tick n, in cents.
func (i instrument) price(n uint64) int64 {
	var sum int64
	for octave := range octaves {
		sum += i.wave(octave, n) << octave
	}
	return i.base + i.base*sum/(heights*unit*swing)
}

// wave returns the value of one wave, between -unit and unit: random ones, 4^octave ticks apart, with straight lines
// between them.
func (i instrument) wave(octave int, n uint64) int64 {
	shift := 2 * octave
	before, length := n>>shift, int64(1)<<shift
	from, to := i.noise(octave, before), i.noise(octave, before+1)
	return from + (to-from)*int64(n&uint64(length-1))/length
}

func (i instrument) noise(octave int, n uint64) int64 {
	return int64(mix(mix(i.seed+uint64(octave))+n)%(2*unit)) - unit
}

// volume returns the sum of all sizes up to tick n. The sizes are made from it, not it from them, so that it takes no
// adding up.
func (i instrument) volume(n uint64) int64 {
	return int64(n)*i.trade + int64(mix(i.seed^mix(n))%uint64(i.trade))
}

// size returns how many are traded at tick n, between 1 and twice the average.
func (i instrument) size(n uint64) int64 {
	if n == 0 {
		return i.volume(0)
	}
	return i.volume(n) - i.volume(n-1)
}

// mix turns a number into one that looks random (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
