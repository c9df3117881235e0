package telemetry

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of one record. Backends have bounds of their own: Loki takes up to 128 entries and 64 KiB of metadata, and a
// line of 256 KiB. 32 KiB can't reach that even if JSON writes six bytes for one.
const (
	maxFields      = 64
	maxKeyBytes    = 128
	maxValueBytes  = 4 << 10
	maxRecordBytes = 32 << 10
)

// correlation holds the fields that lead from a record to its trace, connection and endpoint, in the order in which
// they are written. They are always kept.
var correlation = [...]string{"trace_id", "span_id", "connection_id", "namespace"}

// fields are the flat attributes of a record: the keys of attributes in a group begin with the group's name and a dot.
// Values are numbers, booleans or strings.
type fields struct {
	attrs   []slog.Attr
	bytes   int
	omitted int64
}

// clone returns a copy, to which fields can be added without changing f.
func (f fields) clone() fields {
	f.attrs = slices.Clone(f.attrs)
	return f
}

// add adds an attribute, or replaces one of the same key, because a backend may refuse a record that has a key twice.
func (f *fields) add(prefix string, attr slog.Attr) {
	v := attr.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		for _, member := range v.Group() {
			f.add(groupPrefix(prefix, attr.Key), member)
		}
		return
	}
	if attr.Key == "" {
		return // slog's own handlers ignore empty attributes, too
	}
	key := fieldKey(prefix, attr.Key)
	v = scalar(v)
	at := slices.IndexFunc(f.attrs, func(a slog.Attr) bool { return a.Key == key })
	if at >= 0 {
		f.bytes += size(v) - size(f.attrs[at].Value)
		f.attrs[at].Value = v
		return
	}
	bytes := f.bytes + len(key) + size(v)
	if !slices.Contains(correlation[:], key) && (len(f.attrs) >= maxFields || bytes > maxRecordBytes) {
		f.omitted++
		return
	}
	f.attrs, f.bytes = append(f.attrs, slog.Attr{Key: key, Value: v}), bytes
}

// list returns the fields in the order in which they are written.
func (f *fields) list() []slog.Attr {
	if f.omitted > 0 {
		f.attrs = append(f.attrs, slog.Int64("fields_omitted", f.omitted))
	}
	slices.SortStableFunc(f.attrs, func(a, b slog.Attr) int { return cmp.Compare(rank(a.Key), rank(b.Key)) })
	return f.attrs
}

func rank(key string) int {
	if i := slices.Index(correlation[:], key); i >= 0 {
		return i
	}
	return len(correlation)
}

func groupPrefix(prefix, group string) string {
	if group == "" {
		return prefix
	}
	return prefix + group + "."
}

// fieldKey returns the key under which an attribute is written. An attribute with the name of one of the record's own
// fields gets an underscore at the end, so that it does not overwrite that field.
func fieldKey(prefix, key string) string {
	key = cut(prefix+key, maxKeyBytes)
	switch key {
	case "time", "level", "msg", "service", "fields_omitted":
		return key + "_"
	}
	return key
}

// scalar returns v as a string, unless it is a number or boolean in JSON. Times and durations have the form that people
// read and that LogQL compares ("1.5s").
func scalar(v slog.Value) slog.Value {
	switch v.Kind() {
	case slog.KindBool, slog.KindInt64, slog.KindUint64, slog.KindFloat64:
		return v
	case slog.KindTime:
		return slog.StringValue(v.Time().Format(time.RFC3339Nano))
	case slog.KindAny:
		return slog.StringValue(cut(fmt.Sprint(v.Any()), maxValueBytes))
	default:
		return slog.StringValue(cut(v.String(), maxValueBytes))
	}
}

// size returns about the size of v.
func size(v slog.Value) int {
	if v.Kind() == slog.KindString {
		return len(v.String())
	}
	return 24 // the longest number
}

// cut returns s as valid UTF-8 of at most limit bytes, without a rune cut in two.
func cut(s string, limit int) string {
	if len(s) > limit+utf8.UTFMax {
		s = s[:limit+utf8.UTFMax] // first, because s may have megabytes
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	for !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
