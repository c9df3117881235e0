package instrument

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// record is one of the log records of the contract. Their messages are constant; what varies is in fields.
type record uint8

const (
	recordOpened record = iota
	recordClosed
	recordRefused
	recordFailed
	recordSlow
	recordSlowConsumer
	recordError
)

// How many records of one message are written per second. Everything above is counted and told with the next one: a
// storm of reconnects must not become a storm of log records.
const (
	infosPerSecond    = 100
	warningsPerSecond = 10
)

var recordKinds = []struct {
	message   string
	level     slog.Level
	perSecond int
}{
	recordOpened:       {"connection opened", slog.LevelInfo, infosPerSecond},
	recordClosed:       {"connection closed", slog.LevelInfo, infosPerSecond},
	recordRefused:      {"handshake refused", slog.LevelWarn, warningsPerSecond},
	recordFailed:       {"message failed", slog.LevelWarn, warningsPerSecond},
	recordSlow:         {"message slow", slog.LevelWarn, warningsPerSecond},
	recordSlowConsumer: {"slow consumer closed", slog.LevelWarn, warningsPerSecond},
	recordError:        {"connection error", slog.LevelWarn, warningsPerSecond},
}

// records writes the log records of one observer.
type records struct {
	logger *slog.Logger
	limits []recordLimit // by record
}

type recordLimit struct {
	limiter    limiter
	suppressed atomic.Int64
}

func newRecords(l *slog.Logger, namespace string) *records {
	r := &records{
		logger: slog.New(NewLogHandler(l.Handler())).With(slog.String("namespace", namespace)),
		limits: make([]recordLimit, len(recordKinds)),
	}
	for i, k := range recordKinds {
		r.limits[i].limiter.init(k.perSecond)
	}
	return r
}

// write writes a record, unless there are too many of its kind. The records of a sampled message always get through:
// their spans are capped already, and who has found the trace should find its record. Empty fields are left out.
func (r *records) write(ctx context.Context, kind record, now time.Duration, attrs ...slog.Attr) {
	k, limit := recordKinds[kind], &r.limits[kind]
	if !r.logger.Enabled(ctx, k.level) {
		return
	}
	always := (kind == recordFailed || kind == recordSlow) && trace.SpanContextFromContext(ctx).IsSampled()
	if !always && !limit.limiter.allow(now) {
		limit.suppressed.Add(1)
		return
	}
	given := make([]slog.Attr, 0, len(attrs)+1)
	for _, a := range attrs {
		if a.Value.Kind() != slog.KindString || a.Value.String() != "" {
			given = append(given, a)
		}
	}
	if n := limit.suppressed.Swap(0); n > 0 {
		given = append(given, slog.Int64("suppressed", n))
	}
	r.logger.LogAttrs(ctx, k.level, k.message, given...)
}
