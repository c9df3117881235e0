package carrier_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/carrier"
)

// A message comes in with the trace context of its sender, which the message's span links to.
func ExampleJSON() {
	observer, spans := observe()
	chat, session := observer.MessageType("message"), open(observer)

	var envelope carrier.JSON // one for all messages of the connection
	payload := []byte(`{"type": "message", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}`)
	envelope.Reset(payload)
	_, message := session.BeginMessage(context.Background(), chat, len(payload), &envelope)
	message.End(nil)

	fmt.Println(sender(spans, "websocket.message message"))
	// Output: 0af7651916cd43dd8448eb211c80319c
}

// A message that is encoded already gets the trace context of ctx.
func ExampleJSON_Bytes() {
	ctx := inTrace()

	var envelope carrier.JSON
	envelope.Reset([]byte(`{"type": "message"}`))
	propagation.TraceContext{}.Inject(ctx, &envelope)

	fmt.Println(string(envelope.Bytes()))
	// Output: {"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","type": "message"}
}

// A CloudEvent has its extension attributes beside the others, so that JSON is the carrier for it.
func ExampleJSON_cloudEvent() {
	observer, spans := observe()
	order, session := observer.MessageType("com.example.order"), open(observer)

	var event carrier.JSON
	payload := []byte(`{
		"specversion": "1.0",
		"type": "com.example.order",
		"source": "/orders",
		"id": "A234-1234-1234",
		"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"data": {"traceparent": "is data here"}
	}`)
	event.Reset(payload)
	_, message := session.BeginMessage(context.Background(), order, len(payload), &event)
	message.End(nil)

	fmt.Println(sender(spans, "websocket.message com.example.order"))
	// Output: 0af7651916cd43dd8448eb211c80319c
}

// A tool is called by the Model Context Protocol.
func ExampleJSONRPC() {
	observer, spans := observe()
	call, session := observer.MessageType("tools/call"), open(observer)

	var request carrier.JSONRPC // one for all messages of the connection
	payload := []byte(`{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
		"name": "get_weather",
		"_meta": {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	}}`)
	request.Reset(payload)
	_, message := session.BeginMessage(context.Background(), call, len(payload), &request)
	message.End(nil)

	fmt.Println(sender(spans, "websocket.message tools/call"))
	// Output: 0af7651916cd43dd8448eb211c80319c
}

// A call that has no place for it yet gets the trace context of ctx.
func ExampleJSONRPC_Bytes() {
	ctx := inTrace()

	var request carrier.JSONRPC
	request.Reset([]byte(`{
	"jsonrpc": "2.0", "id": 2, "method": "tools/call",
	"params": {"name": "get_weather"}
}`))
	propagation.TraceContext{}.Inject(ctx, &request)

	fmt.Println(string(request.Bytes()))
	// Output:
	// {
	// 	"jsonrpc": "2.0", "id": 2, "method": "tools/call",
	// 	"params": {"_meta":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},"name": "get_weather"}
	// }
}

// One node publishes what another one delivers to its connections, in one trace and with the lag between them.
func ExampleEnvelope() {
	observer, spans := observe()
	message := []byte(`{"type": "message"}`)

	ctx, broadcast := observer.BeginBroadcast(context.Background())
	sent := carrier.Envelope{Published: time.Now()}
	propagation.TraceContext{}.Inject(ctx, &sent)
	published := sent.Append(nil, message) // to Redis
	broadcast.End(nil)

	var received carrier.Envelope // one for all messages of the subscription
	payload, err := received.Parse(published)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, delivery := observer.Backplane("redis").BeginDelivery(context.Background(), &received, received.Published)
	delivery.End(nil)

	fmt.Println(string(payload))
	fmt.Println(sender(spans, "websocket.deliver") == spans.Ended()[0].SpanContext().TraceID().String())
	// Output:
	// {"type": "message"}
	// true
}

// A payload without an envelope is understood, too. An envelope of a later version is not.
func ExampleEnvelope_Parse() {
	var envelope carrier.Envelope
	payload, err := envelope.Parse([]byte(`{"type": "message"}`))
	fmt.Println(string(payload), err, envelope.Published.IsZero(), envelope.Keys())
	_, err = envelope.Parse([]byte("sockscope/9 …"))
	fmt.Println(err)
	// Output:
	// {"type": "message"} <nil> true []
	// the envelope is malformed, or of a version that is not known here
}

// natsHeader carries trace context in the headers of NATS, a nats.Header. [propagation.HeaderCarrier] won't do: it
// would write "Traceparent", and not find the "traceparent" of services in other languages.
type natsHeader map[string][]string

func (h natsHeader) Get(key string) string {
	if values := h[key]; len(values) > 0 {
		return values[0]
	}
	return ""
}

func (h natsHeader) Set(key, value string) { h[key] = []string{value} }

func (h natsHeader) Keys() []string {
	keys := make([]string, 0, len(h))
	for key := range h {
		keys = append(keys, key)
	}
	return keys
}

// Three methods make a carrier of anything, here of the headers of NATS:
//
//	type natsHeader nats.Header
//
//	func (h natsHeader) Get(key string) string { return nats.Header(h).Get(key) }
//	func (h natsHeader) Set(key, value string) { nats.Header(h).Set(key, value) }
//	func (h natsHeader) Keys() []string        { return slices.Collect(maps.Keys(h)) }
func Example_ownCarrier() {
	observer, spans := observe()
	header := map[string][]string{} // of a nats.Msg
	propagation.TraceContext{}.Inject(inTrace(), natsHeader(header))

	_, delivery := observer.Backplane("nats").BeginDelivery(context.Background(), natsHeader(header), time.Time{})
	delivery.End(nil)

	fmt.Println(header)
	fmt.Println(sender(spans, "websocket.deliver"))
	// Output:
	// map[traceparent:[00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01]]
	// 0af7651916cd43dd8448eb211c80319c
}

// observe returns an observer that samples everything, and its spans.
func observe() (*instrument.Observer, *tracetest.SpanRecorder) {
	spans := tracetest.NewSpanRecorder()
	observer, err := instrument.New(
		instrument.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))),
		instrument.WithSampleRatio(1),
		instrument.WithMessageTypes("message", "com.example.order", "tools/call"),
		instrument.WithBackplanes("redis", "nats"),
	)
	if err != nil {
		fmt.Println(err)
	}
	return observer, spans
}

// open opens a connection, as an adapter does.
func open(observer *instrument.Observer) *instrument.Conn {
	_, handshake := observer.BeginHandshake(context.Background(), instrument.Request{Host: "chat.example"})
	return handshake.Opened(http.StatusSwitchingProtocols)
}

// inTrace returns a context as it is in the middle of a request.
func inTrace() context.Context {
	return propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{
		"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	})
}

// sender returns the trace of the sender to which the span of that name belongs or links.
func sender(spans *tracetest.SpanRecorder, name string) string {
	ended := spans.Ended()
	i := slices.IndexFunc(ended, func(s sdktrace.ReadOnlySpan) bool { return s.Name() == name })
	if i < 0 {
		return "no span"
	}
	if parent := ended[i].Parent(); parent.IsRemote() {
		return parent.TraceID().String()
	}
	links := ended[i].Links() // to the handshake and to the sender
	return links[len(links)-1].SpanContext.TraceID().String()
}
