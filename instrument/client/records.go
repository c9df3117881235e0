package client

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// record is one of the log records. Their messages are constant; what varies is in fields.
type record uint8

const (
	recordConnected record = iota
	recordNotConnected
	recordLost
	recordClosed
	recordReconciled
	recordNotReconciled
	recordStale
	recordSkipped
	recordNotDecoded
	recordNotHandled
	recordCallbackFailed
	recordKinds
)

// recordsPerSecond is how many records of one message are written per second. Everything above is counted and told with
// the next one: a storm of gaps must not become a storm of log records.
const recordsPerSecond = 10

// records writes the log records of one client.
type records struct {
	logger *slog.Logger

	mu    sync.Mutex
	kinds [recordKinds]struct {
		second     time.Time // when counting has begun
		written    int
		suppressed int64
	}
}

func newRecords(l *slog.Logger, client string) *records {
	return &records{logger: l.With(slog.String("client", client))}
}

func (r *records) write(kind record, attrs ...slog.Attr) {
	message, level := kind.text()
	ctx := context.Background()
	if !r.logger.Enabled(ctx, level) {
		return
	}
	suppressed, ok := r.allow(kind, time.Now())
	if !ok {
		return
	}
	if suppressed > 0 {
		attrs = append(attrs, slog.Int64("suppressed", suppressed))
	}
	r.logger.LogAttrs(ctx, level, message, attrs...)
}

func (r *records) allow(kind record, now time.Time) (suppressed int64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := &r.kinds[kind]
	if now.Sub(k.second) >= time.Second {
		k.second, k.written = now, 0
	}
	if k.written >= recordsPerSecond {
		k.suppressed++
		return 0, false
	}
	k.written++
	suppressed, k.suppressed = k.suppressed, 0
	return suppressed, true
}

func (kind record) text() (message string, level slog.Level) {
	switch kind {
	case recordConnected:
		return "connected", slog.LevelInfo
	case recordNotConnected:
		return "connect failed", slog.LevelWarn
	case recordLost:
		return "connection lost", slog.LevelWarn
	case recordClosed:
		return "connection closed", slog.LevelInfo
	case recordReconciled:
		return "reconciled", slog.LevelInfo
	case recordNotReconciled:
		return "reconciliation failed", slog.LevelWarn
	case recordStale:
		return "stream stale", slog.LevelWarn
	case recordSkipped:
		return "handler too slow", slog.LevelWarn
	case recordNotDecoded:
		return "message not understood", slog.LevelWarn
	case recordNotHandled:
		return "event failed", slog.LevelWarn
	default:
		return "state callback failed", slog.LevelWarn
	}
}

// maxErrorBytes bounds the text of errors in records: part of it may be the server's.
const maxErrorBytes = 512

func errorAttr(err error) slog.Attr {
	if err == nil {
		return slog.Attr{}
	}
	text := err.Error()
	if len(text) > maxErrorBytes {
		text = text[:maxErrorBytes] + "…"
	}
	return slog.String("error", text)
}
