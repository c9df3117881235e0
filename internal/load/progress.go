package load

import (
	"context"
	"fmt"
	"time"
)

// Progress is how a run stands.
type Progress struct {
	Connections, Open int64 // that there will be, and that are open now

	// Elapsed is since the first message was due, 0 before, of Total.
	Elapsed, Total time.Duration

	SentPerSecond, DeliveredPerSecond float64 // since the last time
	Acked                             int64
	Errors                            int64 // refused, ended, failed, twice, out of order and unexpected until now
	AckMS                             Percentiles
}

// watch reports progress until ctx ends.
func (r *run) watch(ctx context.Context, interval time.Duration, progress func(Progress)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	last, sent, came := time.Now(), int64(0), int64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			p := r.progress(now)
			s, d := r.tally.sent.Load(), r.tally.total(delivered)
			seconds := now.Sub(last).Seconds()
			p.SentPerSecond, p.DeliveredPerSecond = float64(s-sent)/seconds, float64(d-came)/seconds
			last, sent, came = now, s, d
			progress(p)
		}
	}
}

func (r *run) progress(now time.Time) Progress {
	t := r.tally
	p := Progress{
		Connections: int64(r.cfg.Scenario.connections()), Open: t.open.Load(), Total: r.cfg.Scenario.Duration,
		Acked: t.acked.Load(),
		Errors: t.refused.Load() + t.requestsRefused.Load() + t.failed.Load() + t.strange.Load() + t.ackedTwice.Load() +
			t.total(endedEarly) + t.total(twiceDelivered) + t.total(outOfOrder) + t.ticksMissing.Load() + t.ticksDisturbed.Load(),
		AckMS: t.ack.percentiles(),
	}
	select {
	case <-r.started:
		p.Elapsed = max(0, now.Sub(r.start))
	default:
	}
	return p
}

// String is one line.
func (p Progress) String() string {
	switch {
	case p.Elapsed == 0:
		return fmt.Sprintf("connecting  %d of %d open  errors %d", p.Open, p.Connections, p.Errors)
	case p.Elapsed > p.Total:
		return fmt.Sprintf("finishing  %d open  acked %d  errors %d", p.Open, p.Acked, p.Errors)
	}
	return fmt.Sprintf("%.0f of %.0f s  %d open  sent %.0f/s  delivered %.0f/s  errors %d  p50 %.1f  p99 %.1f  p99.9 %.1f ms",
		p.Elapsed.Seconds(), p.Total.Seconds(), p.Open, p.SentPerSecond, p.DeliveredPerSecond, p.Errors,
		p.AckMS.P50, p.AckMS.P99, p.AckMS.P999)
}
