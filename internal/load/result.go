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
	URL         string  `json:"url"`
	Connections int     `json:"connections"`
	Rooms       int     `json:"rooms"`
	Rate        float64 `json:"rate"` // that was asked for
	Seconds     float64 `json:"seconds"`
	Interrupted bool    `json:"interrupted"`

	Sent           int64   `json:"sent"`
	SentPerSecond  float64 `json:"sent_per_second"`
	Skipped        int64   `json:"skipped"` // due on a connection that had ended
	Acked          int64   `json:"acked"`
	AckedTwice     int64   `json:"acked_twice"`
	Traced         int64   `json:"traced"` // acknowledgements that named a trace
	Refused        int64   `json:"refused"`
	LostAcks       int64   `json:"lost_acks"`
	Delivered      int64   `json:"delivered"`
	DeliveredTwice int64   `json:"delivered_twice"`
	LostDeliveries int64   `json:"lost_deliveries"`
	Unexpected     int64   `json:"unexpected"` // frames that should not have come
	EndedEarly     int64   `json:"ended_early"`

	// AckMS is from when a message was due to its acknowledgement, DeliveryMS
	// to its delivery, and LagMS to its sending: what the load itself was late.
	AckMS      Percentiles `json:"ack_ms"`
	DeliveryMS Percentiles `json:"delivery_ms"`
	LagMS      Percentiles `json:"lag_ms"`

	// Reasons counts what went wrong by its reason.
	Reasons map[string]int `json:"reasons"`
}

func (t *tally) result(cfg Config, sending time.Duration, interrupted bool) *Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &Result{
		URL: cfg.URL, Connections: cfg.Connections, Rooms: cfg.Rooms, Rate: cfg.Rate,
		Seconds: sending.Seconds(), Interrupted: interrupted,
		Sent: t.sent.Load(), Skipped: t.skipped.Load(),
		Acked: t.acked.Load(), AckedTwice: t.ackedTwice.Load(), Traced: t.traced.Load(), Refused: t.refused.Load(),
		Delivered: t.delivered.Load(), DeliveredTwice: t.deliverTwice.Load(),
		Unexpected: t.strange.Load(), EndedEarly: t.ended.Load(),
		AckMS: t.ack.percentiles(), DeliveryMS: t.delivery.percentiles(), LagMS: t.lag.percentiles(),
		Reasons: maps.Clone(t.reasons),
	}
	r.LostAcks = max(0, r.Sent-r.Acked-r.Refused)
	r.LostDeliveries = max(0, t.expected.Load()-r.Delivered)
	if r.Seconds > 0 {
		r.SentPerSecond = float64(r.Sent) / r.Seconds
	}
	return r
}

// Err returns what went wrong, nil if every message was sent, acknowledged once
// and delivered once to each member of its room.
func (r *Result) Err() error {
	var wrong []string
	for _, w := range []struct {
		n    int64
		what string
	}{
		{r.Skipped, "messages not sent"},
		{r.LostAcks, "acknowledgements missing"},
		{r.AckedTwice, "acknowledged twice"},
		{r.Refused, "refused"},
		{r.LostDeliveries, "deliveries missing"},
		{r.DeliveredTwice, "delivered twice"},
		{r.Unexpected, "unexpected frames"},
		{r.EndedEarly, "connections ended early"},
	} {
		if w.n > 0 {
			wrong = append(wrong, fmt.Sprintf("%d %s", w.n, w.what))
		}
	}
	if wrong == nil {
		return nil
	}
	return errors.New("load: " + strings.Join(wrong, ", "))
}

// Print writes the result for people.
func (r *Result) Print(w io.Writer) error {
	verdict := "every message was acknowledged once and delivered once to each member of its room"
	if r.Err() != nil {
		verdict = "NOT every message was acknowledged and delivered once"
	}
	stopped := ""
	if r.Interrupted {
		stopped = " (stopped early)"
	}
	out := &printer{w: w}
	out.line("%d connections in %d rooms, %.1f s%s", r.Connections, r.Rooms, r.Seconds, stopped)
	out.line("  sent       %9d  %.1f/s of %.1f/s, %d skipped", r.Sent, r.SentPerSecond, r.Rate, r.Skipped)
	out.line("  acked      %9d  %d lost, %d twice, %d refused, %d with a trace", r.Acked, r.LostAcks, r.AckedTwice, r.Refused, r.Traced)
	out.line("  delivered  %9d  %d lost, %d twice, %d unexpected", r.Delivered, r.LostDeliveries, r.DeliveredTwice, r.Unexpected)
	out.line("  ms since due       p50       p90       p99     p99.9       max")
	for _, row := range []struct {
		name string
		p    Percentiles
	}{{"sent", r.LagMS}, {"acked", r.AckMS}, {"delivered", r.DeliveryMS}} {
		out.line("  %-11s  %9.2f %9.2f %9.2f %9.2f %9.2f", row.name, row.p.P50, row.p.P90, row.p.P99, row.p.P999, row.p.Max)
	}
	for _, reason := range slices.Sorted(maps.Keys(r.Reasons)) {
		out.line("  %9d × %s", r.Reasons[reason], reason)
	}
	out.line("%s", verdict)
	return out.err
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

// Progress is how a run stands.
type Progress struct {
	Elapsed, Total  time.Duration
	Sent, Acked     int64
	Delivered       int64
	Refused, Ended  int64
	AckMS           Percentiles
	SecondsSettling float64 // since the last message was due, 0 before
}

func (t *tally) progress(cfg Config, elapsed time.Duration) Progress {
	return Progress{
		Elapsed: max(0, elapsed), Total: cfg.Duration,
		Sent: t.sent.Load(), Acked: t.acked.Load(), Delivered: t.delivered.Load(),
		Refused: t.refused.Load(), Ended: t.ended.Load(),
		AckMS:           t.ack.percentiles(),
		SecondsSettling: max(0, (elapsed - cfg.Duration).Seconds()),
	}
}

// String is one line.
func (p Progress) String() string {
	what := fmt.Sprintf("%3.0f s of %.0f s", p.Elapsed.Seconds(), p.Total.Seconds())
	if p.SecondsSettling > 0 {
		what = fmt.Sprintf("waiting for answers, %.0f s", p.SecondsSettling)
	}
	return fmt.Sprintf("%s  sent %d  acked %d  delivered %d  refused %d  ended %d  p50 %.1f ms  p99 %.1f ms",
		what, p.Sent, p.Acked, p.Delivered, p.Refused, p.Ended, p.AckMS.P50, p.AckMS.P99)
}
