package lokireceiver

import (
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

const (
	// maxAttributes bounds the attributes of a record: setting one costs a walk over those before it. Loki itself takes
	// 15 labels and 128 pieces of structured metadata by default.
	maxAttributes = 256

	// maxTranslated bounds what one push grows to. Every entry repeats the labels of its stream, so that a body of a
	// few megabytes could otherwise become terabytes.
	maxTranslated = 64 << 20

	// recordCost and attributeCost are about what an empty record and an empty attribute take in memory.
	recordCost    = 256
	attributeCost = 64
)

// pair is a label of a stream or a piece of structured metadata of an entry.
type pair struct{ name, value string }

// entry is one line of a push, in the form that both encodings share.
type entry struct {
	at       time.Time // zero when the client gave none
	line     string
	metadata []pair
}

// translation collects the log records of one push. Like contrib's, it puts them all under one empty resource.
type translation struct {
	logs         plog.Logs
	records      plog.LogRecordSlice
	arrived      pcommon.Timestamp
	keepIncoming bool
	size         int
}

func newTranslation(now time.Time, keepIncoming bool) *translation {
	logs := plog.NewLogs()
	return &translation{
		logs:         logs,
		records:      logs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords(),
		arrived:      pcommon.NewTimestampFromTime(now),
		keepIncoming: keepIncoming,
	}
}

// add appends the record of an entry in the stream with these labels.
func (t *translation) add(labels []pair, e entry) error {
	if n := len(labels) + len(e.metadata); n > maxAttributes {
		return fmt.Errorf("an entry has %d labels and pieces of structured metadata, at most %d are taken", n, maxAttributes)
	}
	t.size += recordCost + len(e.line) + sizeOf(labels) + sizeOf(e.metadata)
	if t.size > maxTranslated {
		return fmt.Errorf("%w (its entries with their labels take more than %d bytes)", errTooLarge, maxTranslated)
	}
	record := t.records.AppendEmpty()
	record.SetObservedTimestamp(t.arrived)
	record.SetTimestamp(t.arrived)
	if t.keepIncoming && !e.at.IsZero() {
		record.SetTimestamp(pcommon.NewTimestampFromTime(e.at))
	}
	record.Body().SetStr(valid(e.line))
	attributes := record.Attributes()
	attributes.EnsureCapacity(len(labels) + len(e.metadata))
	for _, p := range labels {
		attributes.PutStr(p.name, p.value)
	}
	for _, p := range e.metadata {
		attributes.PutStr(valid(p.name), valid(p.value))
	}
	return nil
}

func sizeOf(pairs []pair) int {
	size := len(pairs) * attributeCost
	for _, p := range pairs {
		size += len(p.name) + len(p.value)
	}
	return size
}

// valid replaces what is not UTF-8: a backend may refuse it, together with everything else in the same batch.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// unixTime returns the time that far from 1970, if nanoseconds in a log record can express it.
func unixTime(seconds, nanos int64) (time.Time, error) {
	const last = 1<<63/1_000_000_000 - 1 // the last whole second that fits
	if seconds < 0 || seconds > last || nanos < 0 || nanos >= int64(time.Second) {
		return time.Time{}, fmt.Errorf("a timestamp is out of range: %d s and %d ns since 1970", seconds, nanos)
	}
	return time.Unix(seconds, nanos), nil
}
