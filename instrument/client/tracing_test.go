package client_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/instrument/client"
)

// span is what matters of a span.
type span struct {
	Name       string
	Kind       trace.SpanKind
	Attributes map[attribute.Key]any
	Status     codes.Code
	Links      []string // names of spans
}

func spansOf(recorder *tracetest.SpanRecorder) (spans []span) {
	names := map[trace.SpanID]string{}
	for _, s := range recorder.Ended() {
		names[s.SpanContext().SpanID()] = s.Name()
	}
	for _, s := range recorder.Ended() {
		got := span{Name: s.Name(), Kind: s.SpanKind(), Status: s.Status().Code, Attributes: map[attribute.Key]any{}}
		for _, a := range s.Attributes() {
			got.Attributes[a.Key] = a.Value.AsInterface()
		}
		if id, ok := got.Attributes["websocket.handshake.trace_id"]; ok && (len(s.Links()) != 1 || id != s.Links()[0].SpanContext.TraceID().String()) {
			got.Attributes["websocket.handshake.trace_id"] = "not that of the link"
		} else if ok {
			got.Attributes["websocket.handshake.trace_id"] = "that of the link"
		}
		for _, l := range s.Links() {
			got.Links = append(got.Links, names[l.SpanContext.SpanID()])
		}
		spans = append(spans, got)
	}
	return spans
}

// TestSpans compares the spans of a connection, and what joins them with the server's.
func TestSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, a := newExchange(t), new(consumer)
		x.refuse(status(503))
		recorder := tracetest.NewSpanRecorder()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
		feed := client.Feed{
			Streams: []client.Stream{{Name: "book"}},
			Handle: func(ctx context.Context, e client.Event) error {
				a.note("%d of message %d, sampled: %t", e.First, e.MessageNumber, trace.SpanFromContext(ctx).IsRecording())
				if e.HandshakeTraceID != recorder.Ended()[1].SpanContext().TraceID() {
					t.Errorf("trace id %v is not the handshake's", e.HandshakeTraceID)
				}
				if e.First == 4 {
					return (*diskError)(nil) // an easy mistake, but still an error
				}
				return nil
			},
		}
		c := run(t, x, a, feed, client.WithTracerProvider(provider), client.WithSampleRatio(1))
		ws := <-x.conns
		sendApart(t, ws, "ack", "book 1 0;book 2 0", "book 4 0")
		ctx, mine := provider.Tracer("test").Start(t.Context(), "order")
		for range 2 {
			if err := c.Send(t.Context(), websocket.MessageText, []byte("no span")); err != nil {
				t.Error(err)
			}
		}
		if err := c.Send(ctx, websocket.MessageText, []byte("span")); err != nil {
			t.Error(err)
		}
		mine.End()
		synctest.Wait()
		compare(t, "what the application sees", []string{
			"1 of message 2, sampled: true", "2 of message 2, sampled: false", "4 of message 3, sampled: true",
		}, a.noted())

		handshake := func(code int64, more map[attribute.Key]any) map[attribute.Key]any {
			attributes := map[attribute.Key]any{
				"server.address": "exchange.example", "server.port": int64(80), "network.protocol.name": "websocket",
				"http.request.method": "GET", "http.response.status_code": code, "websocket.client": "test",
			}
			for k, v := range more {
				attributes[k] = v
			}
			return attributes
		}
		compare(t, "spans", []span{
			{
				"websocket.handshake", trace.SpanKindClient, handshake(503, map[attribute.Key]any{"error.type": "over_capacity"}), codes.Error, nil,
			},
			{"websocket.handshake", trace.SpanKindClient, handshake(101, nil), codes.Unset, nil},
			{"websocket.message book", trace.SpanKindConsumer, map[attribute.Key]any{
				"websocket.message.type": "book", "websocket.message.size": int64(17), "websocket.message.number": int64(2), "websocket.handshake.trace_id": "that of the link",
			}, codes.Unset, []string{"websocket.handshake"}},
			{"websocket.message book", trace.SpanKindConsumer, map[attribute.Key]any{
				"websocket.message.type": "book", "websocket.message.size": int64(8), "websocket.message.number": int64(3), "error.type": "*client_test.diskError", "websocket.handshake.trace_id": "that of the link",
			}, codes.Error, []string{"websocket.handshake"}},
			{"order", trace.SpanKindInternal, map[attribute.Key]any{"websocket.message.number": int64(3), "websocket.handshake.trace_id": "that of the link"}, codes.Unset, []string{"websocket.handshake"}},
		}, spansOf(recorder))

		if scope := recorder.Ended()[1].InstrumentationScope(); scope.Version == "" {
			t.Errorf("scope is %+v, want a version", scope)
		}
		sc := recorder.Ended()[1].SpanContext()
		compare(t, "traceparent", fmt.Sprintf("00-%s-%s-01", sc.TraceID(), sc.SpanID()), x.header[1].Get("traceparent"))
	})
}

type diskError struct{ device string }

func (e *diskError) Error() string { return e.device + " is full" }

// TestSpansAreFew has no message be sampled, or so many that the cap matters.
func TestSpansAreFew(t *testing.T) {
	for ratio, want := range map[float64]int{0: 1, 1: 1 + 100} {
		t.Run(fmt.Sprint(ratio), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, a := newExchange(t), new(consumer)
				recorder := tracetest.NewSpanRecorder()
				run(t, x, a, client.Feed{}, client.WithSampleRatio(ratio), client.WithPropagator(propagation.Baggage{}),
					client.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))))
				ws := <-x.conns
				for i := range 150 {
					send(t, ws, fmt.Sprintf("book %d 0", i+1))
				}
				synctest.Wait()
				compare(t, "spans", want, len(recorder.Ended()))
				compare(t, "events", 150, len(a.noted()))
				compare(t, "traceparent", "", x.header[0].Get("traceparent"))
			})
		})
	}
}
