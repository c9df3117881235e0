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
	recordBackplane
)

// How many records of one message are written per second. Everything above is counted and told with the next one: a
// storm of reconnects must not become a storm of log records.
const (
	infosPerSecond    = 100
	warningsPerSecond = 10
)

// recordKind is what all records of one message share.
type recordKind struct {
	message    string
	level      slog.Level
	limiter    limiter
	suppressed atomic.Int64
}

// records writes the log records of one observer.
type records struct {
	logger *slog.Logger
	kinds  [recordBackplane + 1]recordKind
}

func newRecords(l *slog.Logger, namespace string) *records {
	r := &records{logger: slog.New(NewLogHandler(l.Handler())).With(slog.String("namespace", namespace))}
	for kind, message := range map[record]string{recordOpened: "connection opened", recordClosed: "connection closed"} {
		r.kinds[kind].init(message, slog.LevelInfo, infosPerSecond)
	}
	for kind, message := range map[record]string{
		recordRefused:      "handshake refused",
		recordFailed:       "message failed",
		recordSlow:         "message slow",
		recordSlowConsumer: "slow consumer closed",
		recordError:        "connection error",
		recordBackplane:    "backplane error",
	} {
		r.kinds[kind].init(message, slog.LevelWarn, warningsPerSecond)
	}
	return r
}

func (k *recordKind) init(message string, level slog.Level, perSecond int) {
	k.message, k.level = message, level
	k.limiter.init(perSecond)
}

// write writes a record, unless there are too many of its kind. The records of a sampled message always get through:
// their spans are capped already, and who has found the trace should find its record. Empty fields are left out.
func (r *records) write(ctx context.Context, kind record, now time.Duration, attrs ...slog.Attr) {
	k := &r.kinds[kind]
	if !r.logger.Enabled(ctx, k.level) {
		return
	}
	always := (kind == recordFailed || kind == recordSlow) && trace.SpanContextFromContext(ctx).IsSampled()
	if !always && !k.limiter.allow(now) {
		k.suppressed.Add(1)
		return
	}
	given := make([]slog.Attr, 0, len(attrs)+1)
	for _, a := range attrs {
		if a.Value.Kind() != slog.KindString || a.Value.String() != "" {
			given = append(given, a)
		}
	}
	if n := k.suppressed.Swap(0); n > 0 {
		given = append(given, slog.Int64("suppressed", n))
	}
	r.logger.LogAttrs(ctx, k.level, k.message, given...)
}
