package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/instrument"
)

func TestRecordsOfAConnection(t *testing.T) {
	s := newService(t)
	c := s.open(t)
	ctx := c.Context(t.Context())
	_ = c.Handle(ctx, s.say, 5, nil, fails)
	slog.New(s.console.LogHandler(nil)).With("room", "lobby").WithGroup("user").WarnContext(ctx, "kicked", "name", "ann", "score", 3)
	c.Closed(instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonGoingAway, Code: 1001})
	s.open(t)

	var got []string
	for _, r := range s.console.records.list(10, func(r *Record) bool { return r.connection() == c.ID() }, Kinds()...) {
		got = append(got, string(r.Kind)+": "+r.Message)
		if r.Message == "kicked" {
			want := map[string]any{"room": "lobby", "user.name": "ann", "user.score": int64(3), "connection_id": c.ID()}
			if diff := cmp.Diff(want, r.Attributes); diff != "" {
				t.Error(diff)
			}
		}
	}
	want := []string{"closed: connection closed", "trouble: kicked", "message: message failed", "opened: connection opened"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestRecordsPassOn makes sure that the console changes nothing of what is logged.
func TestRecordsPassOn(t *testing.T) {
	log := func(wrap func(slog.Handler) slog.Handler) string {
		var out bytes.Buffer
		h := slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})
		logger := slog.New(wrap(instrument.NewLogHandler(h)))
		logger.Info("left out")
		logger.With("a", 1).WithGroup("g").With("b", 2).Error("kept", "c", 3, "d", slog.GroupValue(slog.Int("e", 4)))
		return out.String()
	}
	c := New(Config{})
	if got, want := log(c.LogHandler), log(func(h slog.Handler) slog.Handler { return h }); got != want {
		t.Errorf("logged\n%swant\n%s", got, want)
	}
	kept := c.records.list(10, func(*Record) bool { return true }, Kinds()...)
	if len(kept) != 2 || kept[1].Message != "left out" {
		t.Errorf("kept %+v", kept)
	}
}

func TestRecordsAreBounded(t *testing.T) {
	c := New(Config{Records: 10})
	logger := slog.New(c.LogHandler(nil))
	for range 1000 {
		logger.Info("connection opened")
	}
	many := make([]any, 0, 200)
	for range 100 {
		many = append(many, strings.Repeat("k", 1000)+string(rune('a'+len(many)%26)), strings.Repeat("ü", 10_000))
	}
	for i := range 20 {
		logger.Error(strings.Repeat("x", 1<<16), append(many, "number", i)...)
	}
	opened := c.records.list(1000, func(*Record) bool { return true }, KindOpened)
	trouble := c.records.list(1000, func(*Record) bool { return true }, KindTrouble)
	if len(opened) != 10 || len(trouble) != 10 {
		t.Fatalf("%d and %d records are kept", len(opened), len(trouble))
	}
	if opened[0].Number != 1000 || opened[9].Number != 991 {
		t.Errorf("kept are %d to %d", opened[9].Number, opened[0].Number)
	}
	text, err := json.Marshal(trouble[0])
	if err != nil || len(text) > 16*1024 {
		t.Errorf("a record takes %d bytes, %v", len(text), err)
	}
	if len(trouble[0].Attributes) > maxAttributes {
		t.Errorf("%d attributes", len(trouble[0].Attributes))
	}
}

// TestAttributes makes JSON of everything that a record can have.
func TestAttributes(t *testing.T) {
	c := New(Config{})
	slog.New(c.LogHandler(nil)).Info("all",
		"nan", math.NaN(), "inf", math.Inf(-1), "duration", 1500*time.Millisecond, "error", errors.New("<b>"),
		"time", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "bool", true, "bytes", "\xff\x00", "any", struct{ X int }{1},
		slog.Group("", slog.Int("inline", 1)), "panics", panics{})
	kept := c.records.list(1, func(*Record) bool { return true }, KindOther)
	if _, err := json.Marshal(kept); err != nil {
		t.Fatal(err)
	}
	a := kept[0].Attributes
	for key, want := range map[string]any{
		"nan": "NaN", "inf": "-Inf", "duration": 1.5, "error": "<b>", "time": "2026-01-02T03:04:05Z", "bool": true,
		"bytes": "\ufffd\x00", "any": "{1}", "inline": int64(1),
	} {
		if a[key] != want {
			t.Errorf("%s is %#v, want %#v", key, a[key], want)
		}
	}
}

type panics struct{}

func (panics) LogValue() slog.Value { panic("no value") }
