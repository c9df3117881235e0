package client

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/errs"
	"github.com/sockscope/sockscope/instrument/internal/version"
)

const (
	scope = "github.com/sockscope/sockscope/instrument/client"
	// messageNumber is the attribute that, with the handshake's trace id, joins the two ends of a message.
	messageNumber = attribute.Key("websocket.message.number")
	// handshakeTrace is the trace id of the link to the handshake. Jaeger can't search by links.
	handshakeTrace = attribute.Key("websocket.handshake.trace_id")
	// spansPerSecond caps the spans of messages, whatever the ratio and the load are.
	spansPerSecond = 100
)

// tracing makes the spans of a client.
type tracing struct {
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
	client     string
	ratio      float64

	mu     sync.Mutex
	second time.Time
	made   int
}

// messageSpan holds what is needed to make the span of a sampled message when one of its events is handled.
type messageSpan struct {
	handshake trace.SpanContext
	number    uint64
	size      int
}

func newTracing(c *config) *tracing {
	return &tracing{
		tracer: c.tracerProvider.Tracer(scope,
			trace.WithInstrumentationVersion(version.Number), trace.WithSchemaURL(semconv.SchemaURL)),
		propagator: c.propagator,
		client:     c.name,
		ratio:      c.sampleRatio,
	}
}

// handshake begins the span of an attempt to connect, and puts its context into the headers.
func (t *tracing) handshake(ctx context.Context, address string, header http.Header) (context.Context, trace.Span) {
	attributes := []attribute.KeyValue{
		semconv.NetworkProtocolName("websocket"),
		semconv.HTTPRequestMethodGet,
		attribute.String("websocket.client", t.client),
	}
	ctx, span := t.tracer.Start(ctx, "websocket.handshake", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(append(attributes, server(address)...)...))
	t.propagator.Inject(ctx, propagation.HeaderCarrier(header))
	return ctx, span
}

// server returns the attributes for the host of a URL. Nothing else of the URL is on spans.
func server(address string) []attribute.KeyValue {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	attributes := []attribute.KeyValue{semconv.ServerAddress(u.Hostname())}
	port := u.Port()
	if port == "" {
		port = map[string]string{"ws": "80", "http": "80", "wss": "443", "https": "443"}[u.Scheme]
	}
	if n, err := strconv.Atoi(port); err == nil {
		attributes = append(attributes, semconv.ServerPort(n))
	}
	return attributes
}

// answered ends the span of an attempt. The code of the response is 0 if there was no response.
func answered(span trace.Span, code int, status instrument.Status, err error) {
	if code != 0 {
		span.SetAttributes(semconv.HTTPResponseStatusCode(code))
	}
	if err != nil {
		span.SetAttributes(semconv.ErrorTypeKey.String(status.String()))
		span.SetStatus(codes.Error, errorText(err))
	}
	span.End()
}

// sample decides whether a message gets a span, before the span is made. Most messages cost only a random number.
func (t *tracing) sample(handshake trace.SpanContext, m message) *messageSpan {
	if rand.Float64() >= t.ratio || !t.allow(m.at) {
		return nil
	}
	return &messageSpan{handshake: handshake, number: m.number, size: len(m.payload)}
}

// allow says whether another span is allowed in this second.
func (t *tracing) allow(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.second) >= time.Second {
		t.second, t.made = now, 0
	}
	t.made++
	return t.made <= spansPerSecond
}

// begin begins the span of an item, if its message is sampled. The span begins with the receipt, so it includes the
// wait for the handler.
func (t *tracing) begin(ctx context.Context, it item) (context.Context, func(error)) {
	if it.span == nil {
		return ctx, func(error) {}
	}
	ctx, span := t.tracer.Start(ctx, "websocket.message "+it.stream.Name,
		trace.WithNewRoot(),
		trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithTimestamp(it.event.Received),
		trace.WithLinks(trace.Link{SpanContext: it.span.handshake}),
		trace.WithAttributes(
			attribute.String("websocket.message.type", it.stream.Name),
			attribute.Int("websocket.message.size", it.span.size),
			number(it.span.number),
			handshakeTrace.String(it.span.handshake.TraceID().String()),
		))
	return ctx, func(err error) {
		if err != nil {
			span.SetAttributes(semconv.ErrorTypeKey.String(errs.Type(err)))
			span.SetStatus(codes.Error, errorText(err))
		}
		span.End()
	}
}

// annotate adds the number of the sent message to the span in ctx, if there is one.
func annotate(ctx context.Context, handshake trace.SpanContext, n uint64) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(number(n), handshakeTrace.String(handshake.TraceID().String()))
	span.AddLink(trace.Link{SpanContext: handshake})
}

func number(n uint64) attribute.KeyValue { return messageNumber.Int64(int64(n)) }
