package console_test

import (
	"log/slog"
	"net/http"
	"os"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/console"
)

func ExampleHandler() {
	observer, err := instrument.New(instrument.WithNamespace("chat"))
	if err != nil {
		slog.Error("observe the chat", "error", err)
		return
	}
	http.Handle("/debug/realtime/", console.Handler(observer))
}

// The console shows log records and spans that pass through it.
func ExampleNew() {
	live := console.New(console.Config{Service: "chat"})
	logger := slog.New(live.LogHandler(slog.NewJSONHandler(os.Stdout, nil)))
	spans := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(live.SpanProcessor())) // beside your exporter's
	observer, err := instrument.New(
		instrument.WithNamespace("chat"), instrument.WithLogger(logger), instrument.WithTracerProvider(spans))
	if err != nil {
		logger.Error("observe the chat", "error", err)
		return
	}
	live.Observe(observer)
	http.Handle("/debug/realtime/", live)
}
