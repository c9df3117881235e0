package market

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNewRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg  Config
		want string // part of the error
	}{
		"interval too short": {Config{Interval: time.Microsecond}, "Interval is 1µs, it has to be at least 1ms"},
		"negative interval":  {Config{Interval: -time.Second}, "Interval is -1s"},
		"empty symbol":       {Config{Symbols: []string{"ACME", ""}}, "empty"},
		"symbol twice":       {Config{Symbols: []string{"ACME", "STARK", "ACME"}}, `"ACME" twice`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(tc.cfg); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want an error with %q", err, tc.want)
			}
		})
	}
}

// TestValuesStay holds the market to values that were once published: two versions in one fleet have to agree.
func TestValuesStay(t *testing.T) {
	m := newMarket(t, Config{Symbols: []string{"ACME", "STARK"}})
	at := time.Date(2026, 1, 2, 15, 4, 5, 250e6, time.UTC)
	want := Snapshot{
		Seq:  17673662452,
		Time: time.Date(2026, 1, 2, 15, 4, 5, 200e6, time.UTC),
		Quotes: map[string]Quote{
			"ACME":  {Price: 501_97, Volume: 2651049367859},
			"STARK": {Price: 90_72, Volume: 1148788059393},
		},
	}
	if diff := cmp.Diff(want, m.Snapshot(at)); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
	tick := Tick{Symbol: "ACME", Seq: 17673662452, Time: want.Time, Price: 501_97, Size: 114}
	if diff := cmp.Diff(tick, m.Tick("ACME", want.Seq)); diff != "" {
		t.Errorf("tick (-want +got):\n%s", diff)
	}
}

func TestAt(t *testing.T) {
	m := newMarket(t, Config{})
	for _, tc := range []struct {
		t    time.Time
		want uint64
	}{
		{time.Time{}, 0},
		{time.Unix(0, -1), 0},
		{time.Unix(0, 0), 0},
		{time.Unix(0, 100e6-1), 0},
		{time.Unix(0, 100e6), 1},
		{time.Unix(10, 0), 100},
		{time.Unix(10, 0).In(time.FixedZone("", 3600)), 100},
		{time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC), 92146464000},
	} {
		if got := m.At(tc.t); got != tc.want {
			t.Errorf("At(%v) = %d, want %d", tc.t, got, tc.want)
		}
	}
	for _, n := range []uint64{0, 1, 17673662452} {
		if got := m.At(m.Tick("ACME", n).Time); got != n {
			t.Errorf("at the time of tick %d the newest is %d", n, got)
		}
	}
}

// TestPricesAreRealistic looks at many ticks of all symbols: every price is positive, within the bounds and near the
// one before, and still moves.
func TestPricesAreRealistic(t *testing.T) {
	m := newMarket(t, Config{})
	start := m.At(time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC))
	for _, s := range m.Symbols() {
		i := instrumentNamed(s)
		low, high, changes := int64(math.MaxInt64), int64(0), 0
		last := m.Tick(s, start).Price
		for n := start + 1; n < start+100_000; n++ {
			tick := m.Tick(s, n)
			if step := max(tick.Price-last, last-tick.Price); step*50 > last {
				t.Fatalf("%s moves from %d to %d at tick %d: more than 2 %%", s, last, tick.Price, n)
			}
			if tick.Size < 1 || tick.Size > 2*i.trade {
				t.Fatalf("%s: size %d at tick %d, want 1 to %d", s, tick.Size, n, 2*i.trade)
			}
			if tick.Price != last {
				changes++
			}
			low, high, last = min(low, tick.Price), max(high, tick.Price), tick.Price
		}
		if low < i.base-i.base/swing || high > i.base+i.base/swing || low <= 0 {
			t.Errorf("%s: prices from %d to %d, want them within a quarter of %d", s, low, high, i.base)
		}
		if (high-low)*50 < i.base {
			t.Errorf("%s: prices from %d to %d: less than 2 %% in hours", s, low, high)
		}
		if changes < 25_000 { // those of cheap ones are often below a cent
			t.Errorf("%s: the price changed %d times in 100,000 ticks", s, changes)
		}
	}
}

func TestSymbolsDiffer(t *testing.T) {
	m := newMarket(t, Config{})
	seen := make(map[Quote]string)
	for s, q := range m.Snapshot(time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)).Quotes {
		if other, ok := seen[q]; ok {
			t.Errorf("%s and %s have the same quote %+v", s, other, q)
		}
		seen[q] = s
	}
	if len(seen) != 8 {
		t.Errorf("%d symbols by default, want 8", len(seen))
	}
}

// TestMissedTickShows plays a consumer that misses one tick.
func TestMissedTickShows(t *testing.T) {
	m := newMarket(t, Config{})
	start := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	for _, s := range m.Symbols() {
		held := m.Snapshot(start).Quotes[s]
		for n := m.At(start) + 1; n <= m.At(start)+100; n++ {
			tick := m.Tick(s, n)
			if n == m.At(start)+50 {
				continue
			}
			held = Quote{Price: tick.Price, Volume: held.Volume + tick.Size}
		}
		missed := m.Tick(s, m.At(start)+50)
		want := m.Snapshot(start.Add(10 * time.Second)).Quotes[s]
		if held.Volume+missed.Size != want.Volume || held.Price != want.Price {
			t.Errorf("%s: held %+v, want %+v less a volume of %d", s, held, want, missed.Size)
		}
	}
}

func TestSymbolsAreACopy(t *testing.T) {
	given := []string{"ACME"}
	m := newMarket(t, Config{Symbols: given})
	given[0] = "X"
	m.Symbols()[0] = "Y"
	if diff := cmp.Diff([]string{"ACME"}, m.Symbols()); diff != "" {
		t.Error(diff)
	}
}
