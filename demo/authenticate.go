package demo

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/demo/auth"
)

// authenticate returns whom a request comes from, the zero value if it carries no token.
func (s *Server) authenticate(ctx context.Context, r *http.Request) (auth.Identity, error) {
	token, err := auth.TokenFromRequest(r)
	if err != nil || token == "" {
		return auth.Identity{}, err
	}
	return s.verify(ctx, token)
}

// verify is where every token passes, however it came.
func (s *Server) verify(ctx context.Context, token string) (auth.Identity, error) {
	_, span := startSpan(ctx, "auth")
	defer span.End()
	who, err := s.faults.authority(s.cfg.Authority).Verify(token)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	return who, err
}

// startSpan starts a child of the span in ctx, which may have ended, if that is sampled.
func startSpan(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.SpanContext().IsSampled() {
		return ctx, trace.SpanFromContext(context.Background())
	}
	return parent.TracerProvider().Tracer("github.com/sockscope/sockscope/demo").Start(ctx, name, opts...)
}
