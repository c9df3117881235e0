package history_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/demo/history"
)

// A span is what matters of one here.
type span struct {
	Name, Operation, Error string
	Kind                   trace.SpanKind
	Child                  bool
}

func TestSpans(t *testing.T) {
	for name, want := range map[string]struct {
		kind                            trace.SpanKind
		system                          string
		put, after, latest, reads, mark string
	}{
		"file":  {trace.SpanKindInternal, "bbolt", "put", "get", "get", "get", "put"},
		"redis": {trace.SpanKindClient, "redis", "EVALSHA", "XRANGE", "XREVRANGE", "ZRANGE", "EVALSHA"},
		"kafka": {
			trace.SpanKindClient, "kafka", "Produce", "ListOffsets", "ListOffsets", "ListOffsets", "Produce",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := stores[name](t, history.Limits{})
			recorder := tracetest.NewSpanRecorder()
			provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
			ctx, parent := provider.Tracer("test").Start(t.Context(), "parent")
			use := func(ctx context.Context) {
				_, _, _ = s.Append(ctx, message("lobby", "1", "1"))
				_, _, _ = s.Append(ctx, message("lobby", "", "1"))
				_, _ = s.After(ctx, "lobby", 0, 1)
				_, _ = s.Latest(ctx, "lobby", 1)
				_, _ = s.LastSeq(ctx, "lobby")
				_ = s.MarkRead(ctx, "lobby", "ada", 1)
				_ = s.MarkRead(ctx, "lobby", "ada", 2)
				_, _ = s.Reads(ctx, "lobby")
				_ = s.Ping(ctx)
			}
			use(ctx)
			var got []span
			for _, s := range recorder.Ended() {
				values := make(map[attribute.Key]string)
				for _, a := range s.Attributes() {
					values[a.Key] = a.Value.AsString()
				}
				equal(t, "db.system.name", want.system, values["db.system.name"])
				equal(t, "whether the status is an error", values["error.type"] != "", s.Status().Code == codes.Error)
				got = append(got, span{
					s.Name(), values["db.operation.name"], values["error.type"],
					s.SpanKind(), s.Parent().SpanID() == parent.SpanContext().SpanID(),
				})
			}
			equal(t, "spans", []span{
				{"history.append", want.put, "", want.kind, true},
				{"history.append", want.put, "invalid", want.kind, true},
				{"history.read", want.after, "", want.kind, true},
				{"history.read", want.latest, "", want.kind, true},
				{"history.read", want.latest, "", want.kind, true},
				{"history.mark", want.mark, "", want.kind, true},
				{"history.mark", want.mark, "invalid", want.kind, true},
				{"history.read", want.reads, "", want.kind, true},
			}, got)

			// Without a span that records there are none.
			before := len(recorder.Ended())
			parent.End()
			use(ctx)
			use(t.Context())
			equal(t, "how many spans there are after the parent's", before+1, len(recorder.Ended()))
		})
	}
}
