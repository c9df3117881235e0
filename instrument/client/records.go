package client

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// record is one of the log records. Their messages are constant, and everything else is in fields.
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

// recordsPerSecond is the limit of records of one message per second. Records above the limit are counted, and the next
// record has their number: a storm of gaps must not become a storm of log records.
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

// maxErrorBytes bounds the text of errors in records, because part of it may come from the server.
const maxErrorBytes = 512

func errorAttr(err error) slog.Attr {
	if err == nil {
		return slog.Attr{}
	}
	return slog.String("error", errorText(err))
}

// errorText returns the text of an error for records and spans, bounded and without secrets in URLs.
func errorText(err error) string {
	text := withoutPaths(fmt.Sprint(err)) // which survives the Error method of a nil pointer
	if len(text) > maxErrorBytes {
		text = strings.ToValidUTF8(text[:maxErrorBytes], "") + "…"
	}
	return text
}

// withoutPaths cuts URLs in a text down to scheme and host. Paths, queries and user names may contain tokens, and
// net/http puts the whole URL into its errors.
func withoutPaths(text string) string {
	const schemes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-."
	var b strings.Builder
	for {
		i := strings.Index(text, "://")
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		quoted := strings.HasSuffix(strings.TrimRight(text[:i], schemes), `"`)
		i += len("://")
		b.WriteString(text[:i])
		end := i + lengthOfURL(text[i:], quoted)
		host := text[i:end]
		if j := strings.IndexAny(host, `/?#\`); j >= 0 {
			host = host[:j]
		}
		b.WriteString(host[strings.LastIndexByte(host, '@')+1:])
		text = text[end:]
	}
}

// lengthOfURL returns the length of the rest of a URL at the beginning of a text. The URL ends at the quote if it was
// quoted by %q, and otherwise at white space or any quote.
func lengthOfURL(text string, quoted bool) int {
	if !quoted {
		if end := strings.IndexAny(text, " \t\r\n\"'"); end >= 0 {
			return end
		}
		return len(text)
	}
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			return i
		case '\\':
			i++ // the next byte is escaped
		}
	}
	return len(text)
}
