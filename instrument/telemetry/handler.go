package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// record is a log record in the form in which it is written and exported.
type record struct {
	time    time.Time
	level   slog.Level
	message string
	fields  []slog.Attr
}

// exporter takes records without waiting.
type exporter interface {
	export(context.Context, record)
	shutdown(context.Context) error
}

// handler is a slog.Handler that bounds a record, writes it as JSON and passes it to the exporter.
type handler struct {
	level  slog.Leveler
	fields fields
	prefix string // of the groups that are open
	local  bool   // records are written but not exported
	out    *output
}

// output is shared by all handlers of one Start.
type output struct {
	service  string
	exporter exporter // nil where nothing is exported

	mu     sync.Mutex
	writer io.Writer
}

func (h *handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level.Level() }

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.fields = h.fields.clone()
	for _, attr := range attrs {
		with.fields.add(h.prefix, attr)
	}
	return &with
}

func (h *handler) WithGroup(name string) slog.Handler {
	with := *h
	with.prefix = groupPrefix(h.prefix, name)
	return &with
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	fields := h.fields.clone()
	r.Attrs(func(attr slog.Attr) bool {
		fields.add(h.prefix, attr)
		return true
	})
	rec := record{time: r.Time, level: r.Level, message: cut(r.Message, maxValueBytes), fields: fields.list()}
	if rec.time.IsZero() {
		rec.time = time.Now()
	}
	line, err := h.out.encode(ctx, rec)
	if err != nil {
		return fmt.Errorf("encode a log record: %w", err)
	}
	if !h.local && h.out.exporter != nil {
		h.out.exporter.export(ctx, rec)
	}
	return h.out.write(line)
}

// encode returns the record as one line of JSON.
func (o *output) encode(ctx context.Context, r record) ([]byte, error) {
	var line bytes.Buffer
	encoder := slog.NewJSONHandler(&line, &slog.HandlerOptions{ReplaceAttr: func(_ []string, attr slog.Attr) slog.Attr {
		if attr.Key == slog.LevelKey {
			return slog.String(slog.LevelKey, levelName(r.level))
		}
		return attr
	}})
	full := slog.NewRecord(r.time, r.level, r.message, 0)
	full.AddAttrs(slog.String("service", o.service))
	full.AddAttrs(r.fields...)
	err := encoder.Handle(ctx, full)
	return line.Bytes(), err
}

func (o *output) write(line []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, err := o.writer.Write(line); err != nil {
		return fmt.Errorf("write a log record: %w", err)
	}
	return nil
}

// levelName returns the name of the level, or of the next lower level that has a name. slog's levels can be any number,
// but there are few names, because backends index records by them.
func levelName(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "error"
	case l >= slog.LevelWarn:
		return "warn"
	case l >= slog.LevelInfo:
		return "info"
	default:
		return "debug"
	}
}

// errorLog returns a logger for records about telemetry itself. It writes to the same place and exports nothing.
func (o *output) errorLog() *slog.Logger {
	return slog.New(&handler{level: slog.LevelWarn, out: o, local: true})
}
