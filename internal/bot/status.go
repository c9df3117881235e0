package bot

import (
	"fmt"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/sockscope/sockscope/demo/wire"
)

// Record is a record to show. Besides the time it has one of its fields.
type Record struct {
	Time   time.Time `json:"time"`
	Change *Change   `json:"change,omitempty"`
	Trade  *Trade    `json:"trade,omitempty"`
	Status *Status   `json:"status,omitempty"`
}

// Change is a change of the market's state. The bot trades only while it is live.
type Change struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Error string `json:"error,omitempty"` // what went wrong, if it did
}

// Trade is a trade on paper.
type Trade struct {
	Symbol   string `json:"symbol"`
	Quantity int64  `json:"quantity"` // less than 0 if sold
	Price    int64  `json:"price"`    // in cents
	Seq      uint64 `json:"seq"`      // of the tick that it was for
}

// Status is the state of the bot. The counts are those of the client's metrics.
type Status struct {
	State string `json:"state"`
	Seq   uint64 `json:"seq"`
	// AgeSeconds is how long ago, by this machine's clock, the newest held tick happened, or 0 before the first.
	AgeSeconds float64 `json:"ageSeconds"`

	Reconnects     uint64 `json:"reconnects"`
	Gaps           uint64 `json:"gaps"`
	Missing        uint64 `json:"missing"` // ticks of the gaps
	Duplicates     uint64 `json:"duplicates"`
	OutOfOrder     uint64 `json:"outOfOrder"`
	Reconciled     uint64 `json:"reconciled"`
	Compared       uint64 `json:"compared"` // with the truth, while live
	Drift          uint64 `json:"drift"`    // how often what was held was found to be wrong
	Trades         int    `json:"trades"`
	Profit         int64  `json:"profit"`         // in cents, at the present prices
	RecordsMissing uint64 `json:"recordsMissing"` // not shown, because showing was too slow
}

// Status returns the state of the bot.
func (b *Bot) Status() Status {
	s := Status{State: b.StreamState(wire.StreamMarket).String(), RecordsMissing: b.lost.Load()}
	var at time.Time
	if s.Seq, at, s.Compared = b.book.state(); s.Seq > 0 {
		s.AgeSeconds = max(0, time.Since(at).Seconds())
	}
	s.Trades, s.Profit = b.trader.result()
	s.count(b)
	return s
}

func (b *Bot) statusRecord() Record {
	s := b.Status()
	return Record{Time: time.Now(), Status: &s}
}

// count fills in what the client counts.
func (s *Status) count(b *Bot) {
	families, err := b.metrics.Gather()
	if err != nil {
		b.cfg.Logger.Error("counts not read", "error", err)
	}
	var connected uint64
	for _, c := range []struct {
		to                  *uint64
		name, label, values string
	}{
		{&connected, "connect_attempts_total", "result", "connected"},
		{&s.Gaps, "sequence_gaps_total", "stream", wire.StreamMarket},
		{&s.Missing, "missing_messages_total", "stream", wire.StreamMarket},
		{&s.Duplicates, "duplicates_total", "stream", wire.StreamMarket},
		{&s.OutOfOrder, "out_of_order_total", "stream", wire.StreamMarket},
		{&s.Reconciled, "reconciliations_total", "result", "ok"},
		{&s.Drift, "drift_total", "stream", wire.StreamMarket},
	} {
		*c.to = sum(families, "websocket_client_"+c.name, c.label, c.values)
	}
	if connected > 0 {
		s.Reconnects = connected - 1
	}
}

// sum adds up a counter's series that have the label.
func sum(families []*dto.MetricFamily, name, label, value string) (n uint64) {
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == label && l.GetValue() == value {
					n += uint64(m.GetCounter().GetValue())
				}
			}
		}
	}
	return n
}

// String returns the record as a line.
func (r Record) String() string {
	switch {
	case r.Change != nil:
		return r.Time.Format(time.TimeOnly) + "  " + r.Change.String()
	case r.Trade != nil:
		return r.Time.Format(time.TimeOnly) + "  " + r.Trade.String()
	case r.Status != nil:
		return r.Time.Format(time.TimeOnly) + "  " + r.Status.String()
	}
	return ""
}

// String says how the state has changed, and why if something went wrong.
func (c *Change) String() string {
	if c.Error == "" {
		return c.From + " → " + c.To
	}
	return c.From + " → " + c.To + ": " + c.Error
}

// String says what was traded.
func (t *Trade) String() string {
	verb, quantity := "bought", t.Quantity
	if quantity < 0 {
		verb, quantity = "sold", -quantity
	}
	return fmt.Sprintf("%s %d %s at %s (tick %d)", verb, quantity, t.Symbol, money(t.Price), t.Seq)
}

// String returns the status in one line, what matters most first.
func (s *Status) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-11s", s.State)
	if s.Seq > 0 {
		fmt.Fprintf(&b, "  %4.1f s old", s.AgeSeconds)
	}
	fmt.Fprintf(&b, "  gaps %d", s.Gaps)
	if s.Missing > 0 {
		fmt.Fprintf(&b, " (%d ticks)", s.Missing)
	}
	fmt.Fprintf(&b, "  drift %d/%d  reconnects %d  trades %d  profit %s  reconciled %d",
		s.Drift, s.Compared, s.Reconnects, s.Trades, money(s.Profit), s.Reconciled)
	if s.RecordsMissing > 0 {
		fmt.Fprintf(&b, "  (%d lines not shown)", s.RecordsMissing)
	}
	return b.String()
}

// money writes cents as people do.
func money(cents int64) string {
	sign := ""
	if cents < 0 {
		sign, cents = "-", -cents
	}
	return fmt.Sprintf("%s%d.%02d", sign, cents/100, cents%100)
}
