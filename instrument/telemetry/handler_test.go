package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// kept is an exporter that keeps the records.
type kept struct{ records []record }

func (k *kept) export(_ context.Context, r record) { k.records = append(k.records, r) }

func (k *kept) shutdown(context.Context) error { return nil }

// newHandler returns a handler, what it writes and what it exports.
func newHandler(level slog.Leveler) (*handler, *bytes.Buffer, *kept) {
	written, exported := &bytes.Buffer{}, &kept{}
	return &handler{level: level, out: &output{service: "chat", exporter: exported, writer: written}}, written, exported
}

type secretless struct{ name string }

func (s secretless) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", s.name), slog.Int("n", 1))
}

func TestHandlerWritesFlatFields(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := []struct {
		name string
		log  func(*slog.Logger)
		want map[string]any // besides time
	}{
		{
			name: "kinds",
			log: func(l *slog.Logger) {
				l.Info("m", "s", "x", "i", -1, "u", uint64(2), "f", 0.5, "b", true, "d", 1500*time.Millisecond, "at", at,
					"err", io.EOF, "nil", nil, "list", []int{1, 2}, "bytes", []byte("ab"))
			},
			want: map[string]any{"level": "info", "msg": "m", "service": "chat", "s": "x", "i": -1.0, "u": 2.0, "f": 0.5, "b": true,
				"d": "1.5s", "at": "2026-01-02T03:04:05Z", "err": "EOF", "nil": "<nil>", "list": "[1 2]", "bytes": "[97 98]"},
		},
		{
			name: "groups",
			log: func(l *slog.Logger) {
				l.With("a", 1).WithGroup("g").With("b", 2).WithGroup("").WithGroup("h").Warn("m", "c", 3, slog.Group("i", "d", 4), slog.Group("", "e", 5), slog.Group("none"))
			},
			want: map[string]any{"level": "warn", "msg": "m", "service": "chat", "a": 1.0, "g.b": 2.0, "g.h.c": 3.0, "g.h.i.d": 4.0, "g.h.e": 5.0},
		},
		{
			name: "a value that is a group",
			log:  func(l *slog.Logger) { l.Error("m", "who", secretless{"x"}) },
			want: map[string]any{"level": "error", "msg": "m", "service": "chat", "who.name": "x", "who.n": 1.0},
		},
		{
			name: "a key twice, and keys of the record's own",
			log: func(l *slog.Logger) {
				l.With("k", 1).Info("m", "k", 2, "msg", "x", "service", "y", "service.name", "z", "time", 1, "level", 9)
			},
			want: map[string]any{"level": "info", "msg": "m", "service": "chat", "k": 2.0, "msg_": "x", "service_": "y", "service.name": "z", "time_": 1.0, "level_": 9.0},
		},
		{
			name: "a level between",
			log:  func(l *slog.Logger) { l.Log(context.Background(), slog.LevelWarn+2, "m") },
			want: map[string]any{"level": "warn", "msg": "m", "service": "chat"},
		},
		{
			name: "loggers of one origin",
			log: func(l *slog.Logger) {
				origin := l.With("a", 1).With("b", 2).With("c", 3)
				one, other := origin.With("d", "one"), origin.With("d", "other")
				_ = other
				one.Info("m")
			},
			want: map[string]any{"level": "info", "msg": "m", "service": "chat", "a": 1.0, "b": 2.0, "c": 3.0, "d": "one"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, written, exported := newHandler(slog.LevelInfo)
			tt.log(slog.New(h))
			var got map[string]any
			if err := json.Unmarshal(written.Bytes(), &got); err != nil {
				t.Fatalf("%v in %s", err, written)
			}
			if _, err := time.Parse(time.RFC3339Nano, got["time"].(string)); err != nil {
				t.Error(err)
			}
			delete(got, "time")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("written (-want +got):\n%s", diff)
			}
			if r := exported.records[0]; r.message != "m" || len(r.fields) != len(tt.want)-3 {
				t.Errorf("exported %+v, want what is written", r)
			}
		})
	}
}

func TestHandlerObeysTheLevel(t *testing.T) {
	var level slog.LevelVar
	h, _, exported := newHandler(&level)
	logger := slog.New(h)
	logger.Debug("no")
	level.Set(slog.LevelDebug)
	logger.Debug("yes")
	if len(exported.records) != 1 || exported.records[0].message != "yes" {
		t.Errorf("exported %+v", exported.records)
	}
}

func TestHandlerTellsThatItCannotWrite(t *testing.T) {
	h, _, exported := newHandler(slog.LevelInfo)
	h.out.writer = brokenWriter{}
	err := h.Handle(t.Context(), slog.NewRecord(time.Now(), slog.LevelInfo, "m", 0))
	if !errors.Is(err, io.ErrClosedPipe) || len(exported.records) != 1 {
		t.Errorf("Handle: %v, exported %d: want the record exported all the same", err, len(exported.records))
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestRecordIsBounded(t *testing.T) {
	var many, long []any
	for i := range 200 {
		many = append(many, slog.Int(strings.Repeat("k", i+1), i))
	}
	for _, r := range "abcdefghijklmnopqrstuvwxyz" {
		long = append(long, slog.String(string(r), strings.Repeat("\x01", 1<<16)))
	}
	for _, tt := range []struct {
		name    string
		attrs   []any
		omitted int64
	}{
		{"long values", []any{"a", strings.Repeat("\x00", 1<<20), "b", strings.Repeat("é", 1<<20), "c", []byte(strings.Repeat("\xff", 1<<20))}, 0},
		{"many fields", many, 200 - maxFields},
		{"many long values", long, 26 - maxRecordBytes/(1+maxValueBytes)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, written, exported := newHandler(slog.LevelInfo)
			slog.New(h).Info(strings.Repeat("m", 1<<20), append(tt.attrs, "trace_id", "0a")...)
			r := exported.records[0]
			checkBounds(t, r, written.String())
			if first := r.fields[0]; first.Key != "trace_id" {
				t.Errorf("first field %v, want the trace's id", first)
			}
			var omitted int64
			if last := r.fields[len(r.fields)-1]; last.Key == "fields_omitted" {
				omitted = last.Value.Int64()
			}
			if omitted != tt.omitted {
				t.Errorf("%d fields omitted, want %d", omitted, tt.omitted)
			}
		})
	}
}

// checkBounds checks that Loki takes the record.
func checkBounds(t *testing.T, r record, line string) {
	t.Helper()
	if len(line) > 256<<10 || !utf8.ValidString(line) || !json.Valid([]byte(line)) || strings.Count(line, "\n") != 1 {
		t.Errorf("line of %d bytes, or not one line of valid JSON: %.100q", len(line), line)
	}
	if len(r.fields)+1 > 128 {
		t.Errorf("%d fields", len(r.fields))
	}
	metadata, keys := 0, map[string]bool{}
	for _, f := range r.fields {
		keys[f.Key] = true
		metadata += len(f.Key) + len(f.Value.String())
		if !utf8.ValidString(f.Key) || !utf8.ValidString(f.Value.String()) {
			t.Errorf("field %q is not UTF-8", f.Key)
		}
	}
	if metadata > 60<<10 {
		t.Errorf("%d bytes of metadata", metadata)
	}
	if len(keys) != len(r.fields) {
		t.Errorf("keys twice: %v", slices.Sorted(maps.Keys(keys)))
	}
}

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		in    string
		limit int
		want  string
	}{
		{"", 4, ""},
		{"abcd", 4, "abcd"},
		{"abcde", 4, "abcd"},
		{"abcé", 4, "abc"},
		{"abé", 4, "abé"},
		{"ab\xffd", 8, "ab\uFFFDd"},
		{"\x80\x80\x80\x80\x80\x80\x80\x80\x80", 2, ""},
	} {
		if got := cut(tt.in, tt.limit); got != tt.want {
			t.Errorf("cut(%q, %d) = %q, want %q", tt.in, tt.limit, got, tt.want)
		}
	}
}

// FuzzRecord looks for attributes, which peers have a part in, that make a record that a backend would refuse.
func FuzzRecord(f *testing.F) {
	f.Add("connection closed", "text", "bye", "msg", "x", 3)
	f.Add("\xff", "a.b", "\x00", "a_b", strings.Repeat("é", 5000), 100)
	f.Add("", "", "", "9", "\u2028<\">", -1)
	f.Fuzz(func(t *testing.T, message, key1, value1, key2, value2 string, repeat int) {
		h, written, exported := newHandler(slog.LevelInfo)
		logger := slog.New(h).WithGroup(key2)
		for range min(max(repeat, 0), 100) {
			logger = logger.With(key1, value1)
			key1 += key2 + "x"
		}
		logger.Info(message, key1, value2, key2, value1, slog.Group(key1, key2, value2))
		checkBounds(t, exported.records[0], written.String())
	})
}

func BenchmarkHandler(b *testing.B) {
	h, _, _ := newHandler(slog.LevelInfo)
	h.out.writer, h.out.exporter = io.Discard, nil
	logger := slog.New(h).With("namespace", "chat", "connection_id", "0123456789abcdef")
	b.ReportAllocs()
	for b.Loop() {
		logger.Info("message handled", "type", "message", "duration_seconds", .0123, "recipients", 12)
	}
}
