package instrument

import (
	"context"
	"log/slog"
	"slices"

	"go.opentelemetry.io/otel/trace"
)

// NewLogHandler returns a handler that adds ids to every record and passes it on to h. The ids are trace_id and span_id
// of the span in the record's context, and connection_id of the connection (see Conn.Context). They stay at the top
// level even if the logger has opened groups, and are added once even if such handlers are nested.
func NewLogHandler(h slog.Handler) slog.Handler {
	if h == nil {
		return slog.DiscardHandler
	}
	return &logHandler{next: h}
}

// logHandler does not pass opened groups on to next, because next would put the ids into the innermost group.
type logHandler struct {
	next   slog.Handler
	groups []logGroup
}

// logGroup is an opened group and the attributes that were given within it.
type logGroup struct {
	name  string
	attrs []slog.Attr
}

type identifiedKey struct{}

// Enabled implements slog.Handler.
func (h *logHandler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(h.groups) == 0 {
		return &logHandler{next: h.next.WithAttrs(attrs)}
	}
	groups := slices.Clone(h.groups)
	last := &groups[len(groups)-1]
	last.attrs = append(slices.Clip(last.attrs), attrs...)
	return &logHandler{next: h.next, groups: groups}
}

// WithGroup implements slog.Handler.
func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &logHandler{next: h.next, groups: append(slices.Clip(h.groups), logGroup{name: name})}
}

// Handle implements slog.Handler.
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	if len(h.groups) > 0 {
		r = h.grouped(r)
	}
	if ctx.Value(identifiedKey{}) != nil {
		return h.next.Handle(ctx, r)
	}
	ids := make([]slog.Attr, 0, 3)
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		ids = append(ids, slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	if id := connectionFromContext(ctx); id != "" {
		ids = append(ids, slog.String("connection_id", id))
	}
	if len(ids) > 0 {
		r = r.Clone()
		r.AddAttrs(ids...)
		ctx = context.WithValue(ctx, identifiedKey{}, true)
	}
	return h.next.Handle(ctx, r)
}

// grouped returns r with its attributes within the groups that are open.
func (h *logHandler) grouped(r slog.Record) slog.Record {
	attrs := make([]slog.Attr, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	for _, g := range slices.Backward(h.groups) {
		attrs = []slog.Attr{{Key: g.name, Value: slog.GroupValue(slices.Concat(g.attrs, attrs)...)}}
	}
	top := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	top.AddAttrs(attrs...)
	return top
}
