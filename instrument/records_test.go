package instrument_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/slogtest"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/instrument"
)

func jsonLogger(b *bytes.Buffer) *slog.Logger { return slog.New(slog.NewJSONHandler(b, nil)) }

// lines parses what was logged and leaves out the time.
func lines(t testing.TB, b *bytes.Buffer) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(b.String()) {
		fields := map[string]any{}
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		for key := range fields {
			if strings.Count(line, `"`+key+`":`) > 1 {
				t.Errorf("field %s is there more than once: %s", key, line)
			}
		}
		delete(fields, "time")
		all = append(all, fields)
	}
	return all
}

// TestRecords compares every record that the life of a connection writes.
func TestRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := recordSpans()
		// The logger adds the ids, as a service's own does; they must not be there twice.
		logger := slog.New(instrument.NewLogHandler(slog.NewJSONHandler(&out, nil)))
		o := newObserver(t, s.option(), instrument.WithNamespace("chat"), instrument.WithMessageTypes("message"),
			instrument.WithSampleRatio(0), instrument.WithLogger(logger))
		_, refused := o.BeginHandshake(t.Context(), instrument.Request{Host: "chat.example"})
		refused.Refused(instrument.StatusUnauthorized, 401, errors.New("no token"))
		c := open(t, o)
		_, m := c.BeginMessage(t.Context(), o.MessageType("message"), 7, nil)
		m.End(errors.New("room is full"))
		_, m = c.BeginMessage(t.Context(), o.MessageType("message"), 8, nil)
		time.Sleep(time.Second)
		m.End(nil)
		c.Failed(t.Context(), instrument.ErrorDecode, errors.New("no JSON"))
		c.Sent(o.MessageType("message"), 20)
		c.Closed(instrument.Cause{
			Initiator: instrument.InitiatorLocal, Reason: instrument.ReasonSlowConsumer, Code: 1008, Err: errors.New("queue is full"),
		})

		var want []map[string]any
		add := func(span int, level, msg string, fields map[string]any) {
			fields["level"], fields["msg"], fields["namespace"] = level, msg, "chat"
			sc := s.Ended()[span].SpanContext()
			fields["trace_id"], fields["span_id"] = sc.TraceID().String(), sc.SpanID().String()
			if fields["connection_id"] == nil {
				fields["connection_id"] = c.ID()
			}
			want = append(want, fields)
		}
		got := lines(t, &out)
		add(0, "INFO", "handshake refused", map[string]any{
			"status": "unauthorized", "http_status": 401.0, "error": "no token", "connection_id": got[0]["connection_id"],
		})
		add(1, "INFO", "connection opened", map[string]any{})
		add(2, "WARN", "message failed", map[string]any{
			"type": "message", "size": 7.0, "duration_seconds": 0.0, "kind": "handler", "error": "room is full",
		})
		add(3, "WARN", "message slow", map[string]any{"type": "message", "size": 8.0, "duration_seconds": 1.0})
		add(1, "WARN", "connection error", map[string]any{"kind": "decode", "error": "no JSON"})
		add(4, "INFO", "connection closed", map[string]any{
			"initiator": "local", "reason": "slow_consumer", "code": 1008.0, "duration_seconds": 1.0, "error": "queue is full",
			"received_messages": 2.0, "received_bytes": 15.0, "sent_messages": 1.0, "sent_bytes": 20.0,
		})
		add(4, "WARN", "slow consumer closed", map[string]any{"sent_messages": 1.0})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("records, -want +got:\n%s", diff)
		}
	})
}

func TestRecordsAreRateLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		o := newObserver(t, instrument.WithLogger(jsonLogger(&out)), instrument.WithSpanLimit(0))
		c := open(t, o)
		out.Reset()
		fail := func(n int) {
			for range n {
				_, m := c.BeginMessage(t.Context(), instrument.MessageType{}, 1, nil)
				m.End(errors.New("failed"))
			}
		}
		fail(1000)
		c.Failed(t.Context(), instrument.ErrorRead, nil) // another message has a limit of its own
		time.Sleep(time.Second)
		fail(1)
		got := lines(t, &out)
		if len(got) != 12 || got[10]["msg"] != "connection error" {
			t.Fatalf("%d records, want 10 of the 1000, one of another message and one more: %v", len(got), got)
		}
		if got[11]["suppressed"] != 990.0 {
			t.Errorf("suppressed = %v, want 990", got[11]["suppressed"])
		}
		if n := value(t, o, "websocket_errors_total", "kind", "handler"); n != 1001 {
			t.Errorf("counted %v errors, want all 1001", n)
		}
	})
}

// TestSampledMessagesHaveRecords wants a record for every kept span, however many there are.
func TestSampledMessagesHaveRecords(t *testing.T) {
	var out bytes.Buffer
	s := recordSpans()
	o := newObserver(t, s.option(), instrument.WithLogger(jsonLogger(&out)), instrument.WithSpanLimit(1000))
	c := open(t, o)
	for range 100 {
		_, m := c.BeginMessage(t.Context(), instrument.MessageType{}, 1, nil)
		m.End(errors.New("failed"))
	}
	traces := map[any]bool{}
	for _, line := range lines(t, &out) {
		if line["msg"] == "message failed" {
			traces[line["trace_id"]] = true
		}
	}
	if len(traces) != 100 || len(s.Ended()) != 101 {
		t.Errorf("%d traces in the log, %d spans, want 100 of 100 messages", len(traces), len(s.Ended())-1)
	}
}

func TestLongTextsAreCut(t *testing.T) {
	var out bytes.Buffer
	o := newObserver(t, instrument.WithLogger(jsonLogger(&out)))
	for _, text := range []string{strings.Repeat("x", 1<<20), strings.Repeat("€", 1<<20), "\xff" + strings.Repeat("é", 1<<20)} {
		out.Reset()
		open(t, o).Failed(t.Context(), instrument.ErrorRead, errors.New(text))
		all := lines(t, &out)
		got, _ := all[len(all)-1]["error"].(string)
		if len(got) < 200 || len(got) > 260 || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
			t.Errorf("error is %d bytes: %q", len(got), got)
		}
	}
}

func TestLogHandlerConforms(t *testing.T) {
	var out bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		out.Reset()
		return instrument.NewLogHandler(slog.NewJSONHandler(&out, nil))
	}, func(t *testing.T) map[string]any {
		m := map[string]any{}
		if err := json.Unmarshal(out.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		return m
	})
}

func TestLogHandlerKeepsIdsAtTheTop(t *testing.T) {
	s := recordSpans()
	o := newObserver(t, s.option())
	c := open(t, o)
	ctx, span := s.provider.Tracer("test").Start(c.Context(t.Context()), "work")
	defer span.End()
	ids := map[string]any{
		"trace_id":      span.SpanContext().TraceID().String(),
		"span_id":       span.SpanContext().SpanID().String(),
		"connection_id": c.ID(),
	}
	tests := map[string]struct {
		log  func(*slog.Logger)
		want map[string]any
	}{
		"plain":          {func(l *slog.Logger) { l.InfoContext(ctx, "hello", "a", "b") }, map[string]any{"a": "b"}},
		"with":           {func(l *slog.Logger) { l.With("a", "b").InfoContext(ctx, "hello") }, map[string]any{"a": "b"}},
		"group":          {func(l *slog.Logger) { l.WithGroup("g").InfoContext(ctx, "hello", "a", "b") }, map[string]any{"g": map[string]any{"a": "b"}}},
		"empty group":    {func(l *slog.Logger) { l.WithGroup("g").InfoContext(ctx, "hello") }, map[string]any{}},
		"nameless group": {func(l *slog.Logger) { l.WithGroup("").InfoContext(ctx, "hello", "a", "b") }, map[string]any{"a": "b"}},
		"nested groups": {
			func(l *slog.Logger) {
				l.With("x", "y").WithGroup("g").With("a", "b").WithGroup("h").With("c", "d").InfoContext(ctx, "hello", "e", "f")
			},
			map[string]any{"x": "y", "g": map[string]any{"a": "b", "h": map[string]any{"c": "d", "e": "f"}}},
		},
	}
	for name, tt := range tests {
		for _, nested := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, nested %v", name, nested), func(t *testing.T) {
				var out bytes.Buffer
				h := instrument.NewLogHandler(slog.NewJSONHandler(&out, nil))
				if nested {
					h = instrument.NewLogHandler(h)
				}
				tt.log(slog.New(h))
				want := map[string]any{"level": "INFO", "msg": "hello"}
				for _, m := range []map[string]any{ids, tt.want} {
					for k, v := range m {
						want[k] = v
					}
				}
				if diff := cmp.Diff([]map[string]any{want}, lines(t, &out)); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		}
	}
}

// TestLogHandlerSharesNothing derives two loggers from one and expects neither to see what the other was given.
func TestLogHandlerSharesNothing(t *testing.T) {
	var out bytes.Buffer
	base := slog.New(instrument.NewLogHandler(slog.NewJSONHandler(&out, nil))).WithGroup("g").With("a", 1).With("b", 2)
	first, second := base.With("c", "first"), base.With("c", "second")
	first.Info("hello")
	second.Info("hello")
	var got []any
	for _, line := range lines(t, &out) {
		got = append(got, line["g"].(map[string]any)["c"])
	}
	if diff := cmp.Diff([]any{"first", "second"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLogHandlerWithoutHandler(t *testing.T) {
	if h := instrument.NewLogHandler(nil); h.Enabled(t.Context(), slog.LevelError) {
		t.Error("a handler over nil is enabled")
	}
}

// TestConnectionErrorLeadsToTheHandshake has an adapter, which knows no context, and the application note errors.
func TestConnectionErrorLeadsToTheHandshake(t *testing.T) {
	var out bytes.Buffer
	s := recordSpans()
	o := newObserver(t, s.option(), instrument.WithLogger(jsonLogger(&out)))
	c := open(t, o)
	out.Reset()
	ctx, span := s.provider.Tracer("test").Start(t.Context(), "work")
	defer span.End()
	c.Failed(t.Context(), instrument.ErrorWrite, errors.New("broken pipe"))
	c.Failed(ctx, instrument.ErrorTimeout, errors.New("too late"))
	got := lines(t, &out)
	for i, want := range []trace.SpanContext{s.Ended()[0].SpanContext(), span.SpanContext()} {
		if got[i]["span_id"] != want.SpanID().String() || got[i]["connection_id"] != c.ID() {
			t.Errorf("record is %v, want the span %s", got[i], want.SpanID())
		}
	}
}
