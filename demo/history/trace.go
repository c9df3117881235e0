package history

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// The spans.
const (
	spanAppend = "history.append"
	spanRead   = "history.read"
	spanMark   = "history.mark"
)

// A system is the database that a store uses. An embedded one is no other process, so calling it is an internal span.
type system struct {
	name string
	kind trace.SpanKind
}

// start begins a child of the span in ctx, if that one is recording.
func (s system) start(ctx context.Context, name, operation string) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, noop.Span{}
	}
	return parent.TracerProvider().Tracer("github.com/sockscope/sockscope/demo/history").Start(ctx, name,
		trace.WithSpanKind(s.kind),
		trace.WithAttributes(attribute.String("db.system.name", s.name), attribute.String("db.operation.name", operation)))
}

// end ends a span of start.
func end(span trace.Span, err error) {
	if err != nil {
		span.SetAttributes(attribute.String("error.type", errorType(err)))
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

func errorType(err error) string {
	switch {
	case errors.Is(err, ErrInvalid):
		return "invalid"
	case errors.Is(err, ErrFull):
		return "full"
	case errors.Is(err, ErrClosed):
		return "closed"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	default:
		return "_OTHER"
	}
}
