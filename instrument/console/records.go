package console

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	maxAttributes = 16
	maxTextBytes  = 256
)

// Kind sorts records into lists, so that many of one kind don't push out the others.
type Kind string

// The kinds of records.
const (
	KindOpened  Kind = "opened"  // connections that opened
	KindClosed  Kind = "closed"  // connections that closed
	KindMessage Kind = "message" // messages that failed or were slow
	KindTrouble Kind = "trouble" // everything else of level Warn and above
	KindOther   Kind = "other"
)

// Kinds lists the kinds of records.
func Kinds() []Kind { return []Kind{KindOpened, KindClosed, KindMessage, KindTrouble, KindOther} }

// Records is the answer of api/v1/records.
type Records struct {
	Service  string   `json:"service"`
	Instance string   `json:"instance"`
	Records  []Record `json:"records"` // newest first
}

// A Record is a log record that the console keeps.
type Record struct {
	// Number is the number of the record, counted from 1.
	Number  uint64    `json:"number"`
	Kind    Kind      `json:"kind"`
	Time    time.Time `json:"time"`
	Level   string    `json:"level"`
	Message string    `json:"message"`
	// Attributes are the fields of the record, at most 16. Durations are in seconds.
	Attributes map[string]any `json:"attributes,omitempty"`
}

// connection is the id of the connection that the record is about.
func (r *Record) connection() string {
	id, _ := r.Attributes["connection_id"].(string)
	return id
}

// number returns an attribute that is a number.
func (r *Record) number(key string) (float64, bool) {
	switch v := r.Attributes[key].(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	}
	return 0, false
}

// records keeps the newest records of each kind.
type records struct {
	mu     sync.Mutex
	size   int
	newest uint64
	rings  map[Kind]*ring
}

// ring is a list that forgets its oldest entry when it is full.
type ring struct {
	entries []Record
	next    int
}

func (r *records) init(size int) {
	r.size, r.rings = size, make(map[Kind]*ring)
	for _, kind := range Kinds() {
		r.rings[kind] = &ring{}
	}
}

func (r *records) add(record Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.newest++
	record.Number = r.newest
	ring := r.rings[record.Kind]
	if len(ring.entries) < r.size {
		ring.entries = append(ring.entries, record)
		return
	}
	ring.entries[ring.next] = record
	ring.next = (ring.next + 1) % r.size
}

// list returns the wanted records, newest first, at most limit.
func (r *records) list(limit int, wanted func(*Record) bool, kinds ...Kind) []Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := []Record{}
	for _, kind := range kinds {
		for i := range r.rings[kind].entries {
			if record := &r.rings[kind].entries[i]; wanted(record) {
				found = append(found, *record)
			}
		}
	}
	slices.SortFunc(found, func(a, b Record) int { return int(int64(b.Number - a.Number)) })
	return found[:min(limit, len(found))]
}

// recorder is a slog.Handler that keeps the records that it passes on.
type recorder struct {
	records *records
	next    slog.Handler
	prefix  string // of open groups
	attrs   []slog.Attr
}

// Enabled implements slog.Handler.
func (h *recorder) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelInfo || h.next.Enabled(ctx, l)
}

// WithAttrs implements slog.Handler.
func (h *recorder) WithAttrs(attrs []slog.Attr) slog.Handler {
	more := slices.Clip(h.attrs)
	for _, a := range attrs {
		a.Key = h.prefix + a.Key
		more = append(more, a)
	}
	return &recorder{h.records, h.next.WithAttrs(attrs), h.prefix, more}
}

// WithGroup implements slog.Handler.
func (h *recorder) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &recorder{h.records, h.next.WithGroup(name), h.prefix + name + ".", h.attrs}
}

// Handle implements slog.Handler.
func (h *recorder) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo {
		h.keep(r)
	}
	if !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

func (h *recorder) keep(r slog.Record) {
	kept := Record{
		Kind: kind(r), Time: r.Time, Level: r.Level.String(), Message: cut(r.Message),
		Attributes: make(map[string]any, min(len(h.attrs)+r.NumAttrs(), maxAttributes)),
	}
	// The record's own come first, because they are what distinguishes it; the ids are at their end.
	var own []slog.Attr
	r.Attrs(func(a slog.Attr) bool {
		own = append(own, a)
		return true
	})
	slices.Reverse(own)
	for _, a := range own {
		kept.attribute(h.prefix, a)
	}
	for _, a := range h.attrs {
		kept.attribute("", a)
	}
	h.records.add(kept)
}

// attribute keeps an attribute, and those in a group by their dotted names.
func (r *Record) attribute(prefix string, a slog.Attr) {
	if len(r.Attributes) >= maxAttributes {
		return
	}
	v := a.Value.Resolve()
	key := cut(prefix + a.Key)
	switch v.Kind() {
	case slog.KindGroup:
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range v.Group() {
			r.attribute(prefix, member)
		}
	case slog.KindBool:
		r.Attributes[key] = v.Bool()
	case slog.KindInt64:
		r.Attributes[key] = v.Int64()
	case slog.KindUint64:
		r.Attributes[key] = v.Uint64()
	case slog.KindFloat64:
		r.Attributes[key] = finite(v.Float64())
	case slog.KindDuration:
		r.Attributes[key] = v.Duration().Seconds()
	case slog.KindTime:
		r.Attributes[key] = v.Time().Format(time.RFC3339Nano)
	default:
		r.Attributes[key] = cut(v.String())
	}
}

// finite returns f, or a text if JSON can't represent it as a number.
func finite(f float64) any {
	if f-f != 0 {
		return slog.Float64Value(f).String()
	}
	return f
}

func kind(r slog.Record) Kind {
	switch r.Message {
	case "connection opened":
		return KindOpened
	case "connection closed":
		return KindClosed
	case "message failed", "message slow":
		return KindMessage
	}
	if r.Level >= slog.LevelWarn {
		return KindTrouble
	}
	return KindOther
}

// cut bounds a text without cutting a character in two.
func cut(s string) string {
	if len(s) <= maxTextBytes {
		return strings.ToValidUTF8(s, "�")
	}
	end := maxTextBytes
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.ToValidUTF8(s[:end], "�") + "…"
}
