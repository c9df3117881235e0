package probe

import (
	"context"
	"log/slog"
	"time"
)

// repeatAfter is the shortest time between two records about the same failure.
const repeatAfter = time.Minute

// reporter logs the results of the probes of one target: each change, and lasting failures from time to time.
type reporter struct {
	logger *slog.Logger

	failed     phase     // of the last probe
	since      time.Time // of the first failure of those in a row
	failures   int       // in a row
	logged     time.Time // the last record about them
	suppressed int       // since
}

func newReporter(logger *slog.Logger, t Target) *reporter {
	return &reporter{logger: logger.With("target", t.Name, "url", t.Server.Socket())}
}

func (l *reporter) report(ctx context.Context, r result, now time.Time) {
	switch {
	case r.err == nil && l.failures > 0:
		l.logger.InfoContext(ctx, "probe succeeds again",
			"failures", l.failures, "failing_seconds", now.Sub(l.since).Seconds())
		l.failed, l.failures, l.suppressed = "", 0, 0
		return
	case r.err == nil:
		return
	case l.failures == 0:
		l.since = now
	}
	l.failures++
	if r.failed == l.failed && now.Sub(l.logged) < repeatAfter {
		l.suppressed++
		return
	}
	args := []any{"phase", string(r.failed), "error", r.err, "failures", l.failures, "suppressed", l.suppressed}
	if r.traceID != "" {
		// Of the target's own trace, whose records are found by the same name.
		args = append(args, "trace_id", r.traceID)
	}
	l.logger.WarnContext(ctx, "probe failed", args...)
	l.failed, l.logged, l.suppressed = r.failed, now, 0
}
