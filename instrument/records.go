package instrument

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// record is one of the log records of the contract. Their messages are constant, and everything else is in fields.
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
	recordRestored
	recordMisuse
	recordFailedHandshake // a refusal that is the server's own failure
	recordCount           // of records
)

// The limits of records of one message per second. Records above the limit are counted, and the next record has their
// number: a storm of reconnects must not become a storm of log records.
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
	kinds  [recordCount]recordKind
}

// newRecords makes the records of an observer. The levels are the ones that WithLogLevel set, by message.
func newRecords(l *slog.Logger, namespace string, levels map[string]slog.Level) *records {
	r := &records{logger: slog.New(NewLogHandler(l.Handler())).With(slog.String("namespace", namespace))}
	for kind := range recordCount {
		message, level := kind.String(), kind.level()
		if set, ok := levels[message]; ok {
			level = set
		}
		r.kinds[kind].message, r.kinds[kind].level = message, level
		r.kinds[kind].limiter.init(kind.perSecond())
	}
	return r
}

// String returns the constant message.
func (r record) String() string {
	switch r {
	case recordOpened:
		return "connection opened"
	case recordClosed:
		return "connection closed"
	case recordRefused, recordFailedHandshake:
		return "handshake refused"
	case recordFailed:
		return "message failed"
	case recordSlow:
		return "message slow"
	case recordSlowConsumer:
		return "slow consumer closed"
	case recordError:
		return "connection error"
	case recordBackplane:
		return "backplane error"
	case recordRestored:
		return "backplane restored"
	default:
		return "instrumentation misused"
	}
}

// level returns the default level. It is informational for everyday events, such as a stranger without a token.
func (r record) level() slog.Level {
	switch r {
	case recordOpened, recordClosed, recordRefused, recordRestored:
		return slog.LevelInfo
	default:
		return slog.LevelWarn
	}
}

func (r record) perSecond() int {
	switch r {
	case recordOpened, recordClosed:
		return infosPerSecond
	default:
		return warningsPerSecond
	}
}

// write writes a record, unless there are too many of its kind. The records of a sampled message are always written:
// their spans are capped already, and someone who has found the trace should find its record. Empty fields are left
// out.
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
