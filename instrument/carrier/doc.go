// Package carrier carries trace context inside messages, for transports and protocols that have no headers.
//
// There is one type for each format, and each is a [propagation.TextMapCarrier] in both directions:
//
//   - [JSON] has traceparent and tracestate next to the other fields of a JSON object. A CloudEvent in the JSON format
//     is one as well.
//   - [JSONRPC] has them in params._meta of a JSON-RPC 2.0 call, as the Model Context Protocol does.
//   - [Envelope] is put around a payload of any kind, for Redis Pub/Sub and the like. It also says when the payload
//     was published.
//
// # Receiving
//
// A carrier costs nothing until it is used: sampling is decided first, and only the payload of a sampled message is
// searched for its sender's context. A connection's read loop needs one carrier for all messages:
//
//	var envelope carrier.JSON
//	for {
//		_, payload, err := conn.Read(ctx)
//		…
//		envelope.Reset(payload)
//		ctx, message := conn.BeginMessage(ctx, chat, len(payload), &envelope)
//		message.End(handle(ctx, payload))
//	}
//
// The payload must not change before the message has ended. If a connection handles messages concurrently, each needs
// its own carrier.
//
// # Sending
//
// The propagator of OpenTelemetry adds the context. The rest of the message stays the same, byte for byte:
//
//	envelope.Reset(payload)
//	propagation.TraceContext{}.Inject(ctx, &envelope)
//	payload = envelope.Bytes()
//
// # What a peer can do
//
// A carrier trusts, builds and keeps nothing that a peer sends. It searches only the first 64 KiB of a message, tracks
// only the depth of nesting, and allocates only the two values. Both values are printable ASCII of at most 512 bytes,
// which is the length that the W3C recommendation asks receivers of a tracestate to support. Only a tracestate may have
// spaces. Any other value counts as absent. Other keys, such as baggage, are ignored. The propagator checks whether a
// traceparent is well formed. The Observer decides whether the sender is trusted, so that its context becomes the
// parent instead of a link.
//
// Adding trace context to a message reads the whole message, because it copies it.
//
// # Other formats
//
// The instrument packages take any [propagation.TextMapCarrier]. If a transport has headers, like HTTP, you don't need
// this package: use [propagation.HeaderCarrier] for [net/http.Header] and [propagation.MapCarrier] for a map. Three
// short methods make a carrier of anything else, such as the headers of NATS, whose names are case-sensitive. An
// example shows how.
package carrier
