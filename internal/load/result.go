package load

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Result is what came of a run.
type Result struct {
	URL         string  `json:"url"` // several with a comma between them
	Scenario    string  `json:"scenario"`
	Connections int     `json:"connections"`
	Rooms       int     `json:"rooms"`
	Rate        float64 `json:"rate"` // that was asked for, of messages
	Seconds     float64 `json:"seconds"`
	Interrupted bool    `json:"interrupted"`

	Connected     int64 `json:"connected"`      // times that a connection was opened
	ConnectFailed int64 `json:"connect_failed"` // times that one could not be opened again, or got no answer then
	EndedEarly    int64 `json:"ended_early"`    // connections that ended though nobody wanted it

	Sent           int64   `json:"sent"`
	SentPerSecond  float64 `json:"sent_per_second"`
	Skipped        int64   `json:"skipped"` // due, and never sent: the connection was away, not in its room, or took no more
	Acked          int64   `json:"acked"`
	AckedTwice     int64   `json:"acked_twice"`
	Traced         int64   `json:"traced"`    // acknowledgements that named a trace
	Refused        int64   `json:"refused"`   // messages
	LostAcks       int64   `json:"lost_acks"` // messages that were sent, and neither acknowledged nor refused
	Delivered      int64   `json:"delivered"`
	ByHistory      int64   `json:"by_history"` // of those, to who had been away
	DeliveredTwice int64   `json:"delivered_twice"`
	OutOfOrder     int64   `json:"out_of_order"`
	LostDeliveries int64   `json:"lost_deliveries"`
	Unexpected     int64   `json:"unexpected"` // what should not have come

	RequestsRefused int64 `json:"requests_refused"` // joining a room, history and the like, which is no message

	Batches        int64 `json:"batches"` // of the market's ticks
	LostTicks      int64 `json:"lost_ticks"`
	TicksDisturbed int64 `json:"ticks_disturbed"` // batches that came twice or out of order

	Provocations    int64 `json:"provocations"` // what has to be refused
	ProvocationsMet int64 `json:"provocations_met"`

	// AckMS is from when a message was due to its acknowledgement, DeliveryMS to its delivery, and LagMS to its
	// sending: what the load itself was late. FeedMS is from the last tick of a batch to its receipt, by the clocks of
	// both ends, and ConnectMS what handshakes took.
	AckMS      Percentiles `json:"ack_ms"`
	DeliveryMS Percentiles `json:"delivery_ms"`
	LagMS      Percentiles `json:"lag_ms"`
	FeedMS     Percentiles `json:"feed_ms"`
	ConnectMS  Percentiles `json:"connect_ms"`

	// Transports says what came of each, if the scenario uses several.
	Transports []Transport `json:"transports,omitempty"`

	// Reasons counts what went wrong by its reason, and Expected what had to go wrong.
	Reasons  map[string]int `json:"reasons"`
	Expected map[string]int `json:"expected"`

	// History is what the rooms' histories have, if that was asked for.
	History *History `json:"history,omitempty"`

	unverified error // why not all histories could be read
}

// Transport is what came of the connections over one transport.
type Transport struct {
	Transport      string      `json:"transport"`
	Connections    int         `json:"connections"`
	EndedEarly     int64       `json:"ended_early"`
	Delivered      int64       `json:"delivered"`
	ByHistory      int64       `json:"by_history"`
	DeliveredTwice int64       `json:"delivered_twice"`
	OutOfOrder     int64       `json:"out_of_order"`
	LostDeliveries int64       `json:"lost_deliveries"`
	DeliveryMS     Percentiles `json:"delivery_ms"`
}

func (r *run) result(sending time.Duration, interrupted bool) *Result {
	t, s := r.tally, r.cfg.Scenario
	over := r.transports()
	var lost int64
	var delivery []latencies
	for i, share := range t.shares {
		lost += over[i].LostDeliveries
		delivery = append(delivery, share.delivery)
	}
	result := &Result{
		URL: strings.Join(r.cfg.URLs, ","), Scenario: s.Name, Connections: s.connections(), Rooms: s.rooms(),
		Seconds: sending.Seconds(), Interrupted: interrupted,
		Connected: t.connected.Load(), ConnectFailed: t.failed.Load(), EndedEarly: t.total(endedEarly),
		Sent: t.sent.Load(), Skipped: t.due.Load() - t.sent.Load(),
		Acked: t.acked.Load(), AckedTwice: t.ackedTwice.Load(), Traced: t.traced.Load(), Refused: t.refused.Load(),
		Delivered: t.total(delivered), ByHistory: t.total(byHistory), DeliveredTwice: t.total(twiceDelivered),
		OutOfOrder: t.total(outOfOrder), LostDeliveries: lost, Unexpected: t.strange.Load(),
		RequestsRefused: t.requestsRefused.Load(),
		Batches:         t.batches.Load(), LostTicks: t.ticksMissing.Load(), TicksDisturbed: t.ticksDisturbed.Load(),
		Provocations: t.provoked.Load(), ProvocationsMet: t.rebuffed.Load(),
		AckMS: t.ack.percentiles(), DeliveryMS: merged(delivery...).percentiles(), LagMS: t.lag.percentiles(),
		FeedMS: t.feed.percentiles(), ConnectMS: t.connect.percentiles(),
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	result.Reasons, result.Expected = maps.Clone(t.reasons), maps.Clone(t.expected)
	for _, g := range s.Groups {
		if g.Does == Chat {
			result.Rate += g.Rate
		}
	}
	if len(over) > 1 {
		result.Transports = over
	}
	result.LostAcks = result.Sent - result.Acked - result.Refused
	if result.Seconds > 0 {
		result.SentPerSecond = float64(result.Sent) / result.Seconds
	}
	return result
}

// transports returns what came of each transport, in the order of the shares.
func (r *run) transports() []Transport {
	all := make([]Transport, 0, len(r.tally.shares))
	for _, s := range r.tally.shares {
		all = append(all, Transport{
			Transport: s.over.String(), Connections: s.connections, EndedEarly: s.ended.Load(), Delivered: s.delivered.Load(),
			ByHistory: s.byHistory.Load(), DeliveredTwice: s.twice.Load(), OutOfOrder: s.outOfOrder.Load(),
			LostDeliveries: r.missed(s), DeliveryMS: s.delivery.percentiles(),
		})
	}
	return all
}

// missed returns how many messages did not come over a transport to members of their rooms, and notes what may be
// missed.
func (r *run) missed(s *share) (lost int64) {
	for _, g := range r.groups {
		if g.share != s {
			continue
		}
		for _, p := range g.peers {
			n := p.missed()
			if g.lenient() {
				r.tally.expect("message missed by slow or vanished reader", int(n))
			} else {
				lost += int64(n)
			}
		}
	}
	return lost
}

// Err returns what went wrong, nil if every message was sent, acknowledged once and delivered once to each member of
// its room, in order, and what had to be refused was.
func (r *Result) Err() error {
	var wrong []string
	for _, w := range r.faults() {
		if w.n > 0 {
			wrong = append(wrong, fmt.Sprintf("%d %s", w.n, w.what))
		}
	}
	if r.unverified != nil {
		wrong = append(wrong, r.unverified.Error())
	}
	if wrong == nil {
		return nil
	}
	return errors.New("load: " + strings.Join(wrong, ", "))
}

type number struct {
	n    int64
	what string
}

func (r *Result) faults() []number {
	faults := []number{
		{r.Skipped, "messages not sent"},
		{r.LostAcks, "acknowledgements missing"},
		{r.AckedTwice, "acknowledged twice"},
		{r.Refused, "messages refused"},
		{r.RequestsRefused, "requests refused"},
		{r.LostDeliveries, "deliveries missing"},
		{r.DeliveredTwice, "delivered twice"},
		{r.OutOfOrder, "delivered out of order"},
		{r.LostTicks, "ticks missing"},
		{r.TicksDisturbed, "batches of ticks twice or out of order"},
		{r.Provocations - r.ProvocationsMet, "provocations not refused"},
		{r.Unexpected, "unexpected frames"},
		{r.EndedEarly, "connections ended early"},
		{r.ConnectFailed, "connections failed"},
	}
	if h := r.History; h != nil {
		faults = append(faults,
			number{h.Lost, "acknowledged but not in the history"}, number{h.Twice, "in the history twice"})
	}
	return faults
}

// Print writes the result for people.
func (r *Result) Print(w io.Writer) error {
	out := &printer{w: w}
	stopped := ""
	if r.Interrupted {
		stopped = " (stopped early)"
	}
	out.line("%s: %d connections in %d rooms, %.1f s%s", r.Scenario, r.Connections, r.Rooms, r.Seconds, stopped)
	out.line("  connected  %9d  %d failed, %d ended early", r.Connected, r.ConnectFailed, r.EndedEarly)
	out.line("  sent       %9d  %.1f/s of %.1f/s, %d skipped", r.Sent, r.SentPerSecond, r.Rate, r.Skipped)
	out.line("  acked      %9d  %d lost, %d twice, %d refused, %d with a trace",
		r.Acked, r.LostAcks, r.AckedTwice, r.Refused, r.Traced)
	out.line("  delivered  %9d  %d lost, %d twice, %d out of order, %d by history, %d unexpected",
		r.Delivered, r.LostDeliveries, r.DeliveredTwice, r.OutOfOrder, r.ByHistory, r.Unexpected)
	if r.RequestsRefused > 0 {
		out.line("  refused    %9d  requests to join, for history and the like", r.RequestsRefused)
	}
	if r.Batches > 0 {
		out.line("  batches    %9d  %d ticks lost, %d batches twice or out of order",
			r.Batches, r.LostTicks, r.TicksDisturbed)
	}
	if r.Provocations > 0 {
		out.line("  provoked   %9d  %d refused as they have to be", r.Provocations, r.ProvocationsMet)
	}
	if h := r.History; h != nil {
		out.line("  history    %9d  %d lost, %d twice, %d trimmed, %d not read, %d without an acknowledgement",
			h.Kept, h.Lost, h.Twice, h.Trimmed, h.Unread, h.Unacked)
	}
	r.printTimes(out)
	r.printTransports(out)
	printCounts(out, "expected", r.Expected)
	printCounts(out, "wrong", r.Reasons)
	if err := r.Err(); err != nil {
		out.line("NOT everything came as it has to")
	} else {
		out.line("everything sent was acknowledged once and delivered once, in order")
	}
	return out.err
}

func (r *Result) printTimes(out *printer) {
	out.line("  ms               p50       p90       p99     p99.9       max")
	for _, row := range []struct {
		name string
		p    Percentiles
	}{
		{"connect", r.ConnectMS}, {"due→sent", r.LagMS}, {"due→acked", r.AckMS}, {"due→delivered", r.DeliveryMS},
		{"tick→batch", r.FeedMS},
	} {
		if row.p.Max > 0 {
			out.line("  %-13s  %9.2f %9.2f %9.2f %9.2f %9.2f", row.name, row.p.P50, row.p.P90, row.p.P99, row.p.P999, row.p.Max)
		}
	}
}

func (r *Result) printTransports(out *printer) {
	if len(r.Transports) == 0 {
		return
	}
	out.line("  over           conns     ended delivered      lost     twice  disorder  p50 (ms)       p99       max")
	for _, t := range r.Transports {
		out.line("  %-10s %9d %9d %9d %9d %9d %9d %9.2f %9.2f %9.2f", t.Transport, t.Connections, t.EndedEarly, t.Delivered,
			t.LostDeliveries, t.DeliveredTwice, t.OutOfOrder, t.DeliveryMS.P50, t.DeliveryMS.P99, t.DeliveryMS.Max)
	}
}

func printCounts(out *printer, kind string, counts map[string]int) {
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		out.line("  %-8s  %9d × %s", kind, counts[reason], reason)
	}
}

// printer writes lines until one fails.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}
