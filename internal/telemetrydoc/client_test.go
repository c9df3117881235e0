package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sockscope/sockscope/instrument/client"
)

// driveClient has a client consume a feed in which everything goes wrong that it can tell of.
func driveClient() (*exports, error) {
	spans := tracetest.NewSpanRecorder()
	e := &exports{records: newRecords()}
	f := feed{e.records}
	server := httptest.NewServer(f)
	defer server.Close()
	c, err := client.New(server.URL, client.Feed{
		Streams: []client.Stream{{
			Name: "{stream}", Expect: 20 * time.Millisecond, Tolerate: true, Snapshot: f.snapshot, Restore: f.restore,
		}},
		Decode: f.decode,
		Handle: f.handle,
	},
		client.WithName("{client}"),
		client.WithBackoff(time.Millisecond, time.Millisecond),
		client.WithQueue(1, 0),
		client.WithStateChange(f.changed),
		client.WithLogger(slog.New(slog.NewJSONHandler(e.records, nil))),
		client.WithSampleRatio(1),
		client.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))),
	)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	for _, message := range []string{
		"connect failed", "connected", "connection lost", "message not understood", "event failed", "handler too slow",
		"stream stale", "state callback failed", "reconciliation failed", "reconciled",
	} {
		err = errors.Join(err, e.records.await(ctx, message))
	}
	err = errors.Join(err, awaitMessages(ctx, spans))
	cancel()
	if ran := <-ended; !errors.Is(ran, context.Canceled) {
		err = errors.Join(err, ran)
	}
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		return nil, err
	}
	e.families, err = registry.Gather()
	e.spans = spans.Ended()
	return e, err
}

// awaitMessages waits for the spans of messages of both streams.
func awaitMessages(ctx context.Context, spans *tracetest.SpanRecorder) error {
	for seen := map[string]bool{}; ; {
		for _, s := range spans.Ended() {
			seen[s.Name()] = true
		}
		if seen["websocket.message {stream}"] && seen["websocket.message other"] {
			return nil
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("no spans of messages: %w", ctx.Err())
		}
	}
}

// feed is a server and its consumer. Both do everything wrong until there is a record of it, and right from then on.
type feed struct{ records *records }

// ServeHTTP sends messages.
func (f feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !f.records.has("connect failed") {
		http.Error(w, "not yet", http.StatusServiceUnavailable)
		return
	}
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	defer ws.CloseNow()
	ctx := ws.CloseRead(r.Context())
	if f.records.has("connection lost") && f.records.await(ctx, "stream stale") != nil {
		return
	}
	for f.records.has("connection lost") {
		if err := ws.Write(ctx, websocket.MessageText, []byte("something has happened")); err != nil {
			return
		}
		time.Sleep(5 * time.Millisecond) // the pace of the feed
	}
}

func (f feed) decode(events []client.Event, _ client.MessageType, payload []byte) ([]client.Event, error) {
	f.bug("message not understood")
	for _, stream := range []string{"{stream}", "unknown"} {
		events = append(events, client.Event{Stream: stream, Value: payload})
	}
	return events, nil
}

func (f feed) handle(ctx context.Context, _ client.Event) error {
	f.bug("event failed")
	return f.records.await(ctx, "handler too slow")
}

func (f feed) snapshot(context.Context, string) (client.Snapshot, error) {
	if !f.records.has("reconciliation failed") {
		return client.Snapshot{}, errors.New("not yet")
	}
	return client.Snapshot{}, nil
}

func (f feed) restore(context.Context, string, client.Snapshot) (drifted bool, err error) {
	return true, nil
}

func (f feed) changed(client.Change) { f.bug("state callback failed") }

// bug is a programming error that the client survives and logs.
func (f feed) bug(message string) {
	if !f.records.has(message) {
		panic("not yet")
	}
}
