package market

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	defaultInterval = 100 * time.Millisecond
	// minInterval keeps volumes, which grow with the tick number, below 2^53, up to where JavaScript's numbers are
	// exact.
	minInterval = time.Millisecond
)

// Config says what is traded. The zero value is a complete one.
type Config struct {
	// Symbols are the names of the instruments, eight invented ones by default.
	Symbols []string
	// Interval is the time between two ticks of a symbol, 100 ms by default and at least 1 ms. All nodes have to have
	// the same.
	Interval time.Duration
}

// Market is what New makes. It holds no state and is safe for concurrent use.
type Market struct {
	symbols  []string
	interval time.Duration
}

// Tick is one trade of one symbol.
type Tick struct {
	Symbol string `json:"symbol"`
	// Seq is the number of the tick. A symbol's numbers have no gaps.
	Seq uint64 `json:"seq"`
	// Time is when the tick happened, which depends on Seq alone.
	Time time.Time `json:"time"`
	// Price is in cents.
	Price int64 `json:"price"`
	// Size is how many were traded, at least one.
	Size int64 `json:"size"`
}

// Snapshot is the state of the market after all ticks up to Seq.
type Snapshot struct {
	Seq    uint64           `json:"seq"`
	Time   time.Time        `json:"time"` // of the ticks with number Seq
	Quotes map[string]Quote `json:"quotes"`
}

// Quote is the state of one symbol.
type Quote struct {
	// Price is that of the last tick, in cents.
	Price int64 `json:"price"`
	// Volume is the sum of the sizes of all ticks so far, the last included.
	Volume int64 `json:"volume"`
}

// New returns the market that cfg describes. It fails on a symbol that is empty or there twice, and on an interval
// below 1 ms.
func New(cfg Config) (*Market, error) {
	if cfg.Interval == 0 {
		cfg.Interval = defaultInterval
	}
	if cfg.Interval < minInterval {
		return nil, fmt.Errorf("market: Interval is %v, it has to be at least %v", cfg.Interval, minInterval)
	}
	if len(cfg.Symbols) == 0 {
		cfg.Symbols = []string{"ACME", "GLOBEX", "HOOLI", "INITECH", "PIEDPIPER", "STARK", "UMBRELLA", "WAYNE"}
	}
	for i, s := range cfg.Symbols {
		if s == "" {
			return nil, errors.New("market: a symbol in Symbols is empty")
		}
		if slices.Contains(cfg.Symbols[:i], s) {
			return nil, fmt.Errorf("market: Symbols has %q twice", s)
		}
	}
	return &Market{symbols: slices.Clone(cfg.Symbols), interval: cfg.Interval}, nil
}

// Symbols returns the names of the instruments.
func (m *Market) Symbols() []string { return slices.Clone(m.symbols) }

// At returns the number of the newest tick at time t, 0 before 1970.
func (m *Market) At(t time.Time) uint64 {
	return uint64(max(0, t.UnixNano()) / int64(m.interval))
}

// Tick returns tick n of a symbol. It knows no symbol from another: whether the market has it is for the caller to
// check.
func (m *Market) Tick(symbol string, n uint64) Tick {
	return m.tick(instrumentNamed(symbol), n)
}

func (m *Market) tick(i instrument, n uint64) Tick {
	return Tick{Symbol: i.symbol, Seq: n, Time: m.timeOf(n), Price: i.price(n), Size: i.size(n)}
}

// Snapshot returns the state of all symbols at time t.
func (m *Market) Snapshot(t time.Time) Snapshot {
	return m.snapshot(m.At(t), m.symbols)
}

func (m *Market) snapshot(n uint64, symbols []string) Snapshot {
	quotes := make(map[string]Quote, len(symbols))
	for _, s := range symbols {
		i := instrumentNamed(s)
		quotes[s] = Quote{Price: i.price(n), Volume: i.volume(n)}
	}
	return Snapshot{Seq: n, Time: m.timeOf(n), Quotes: quotes}
}

// timeOf returns when tick n happens.
func (m *Market) timeOf(n uint64) time.Time {
	return time.Unix(0, int64(n)*int64(m.interval)).UTC()
}
