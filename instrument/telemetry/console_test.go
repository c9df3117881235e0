package telemetry

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// marking adds an attribute to each record.
func marking(mark string) func(slog.Handler) slog.Handler {
	return func(next slog.Handler) slog.Handler { return &marker{next, mark} }
}

type marker struct {
	slog.Handler
	mark string
}

func (m *marker) Handle(ctx context.Context, r slog.Record) error {
	r.AddAttrs(slog.Bool(m.mark, true))
	return m.Handler.Handle(ctx, r)
}

// TestLogHandlers sends a record through two handlers, the first one first.
func TestLogHandlers(t *testing.T) {
	t.Setenv("OTEL_SDK_DISABLED", "true")
	var out bytes.Buffer
	s, err := Start(t.Context(), WithLogWriter(&out), WithLogHandler(nil), WithLogHandler(marking("first")), WithLogHandler(marking("second")))
	if err != nil {
		t.Fatal(err)
	}
	s.Logger().Info("through both")
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if first, second := strings.Index(out.String(), `"first"`), strings.Index(out.String(), `"second"`); first < 0 || second < first {
		t.Errorf("logged %s", &out)
	}
}

// TestSpanProcessor gets spans although none are exported.
func TestSpanProcessor(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	t.Setenv("OTEL_LOGS_EXPORTER", "none")
	spans := tracetest.NewSpanRecorder()
	s, err := Start(t.Context(), WithLogWriter(new(bytes.Buffer)), WithSpanProcessor(spans), WithSpanProcessor(nil))
	if err != nil {
		t.Fatal(err)
	}
	_, span := s.TracerProvider().Tracer("test").Start(t.Context(), "work")
	span.End()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ended := spans.Ended(); len(ended) != 1 || ended[0].Name() != "work" {
		t.Errorf("the processor got %v", ended)
	}
}
