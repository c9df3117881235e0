// Package carrier carries trace context inside messages, for transports and protocols that have no headers.
//
// There is one type for each format, and each is a [propagation.TextMapCarrier] in both directions:
//
//   - [JSON] has traceparent and tracestate beside the other fields of a JSON object. A CloudEvent in the JSON format
//     is one as well.
//   - [JSONRPC] has them in params._meta of a JSON-RPC 2.0 call, as the Model Context Protocol does.
//   - [Envelope] is put around a payload of any kind, for Redis Pub/Sub and the like. It also tells when the payload
//     was published.
//
// # Receiving
//
// A carrier costs nothing until it is asked: whether a message is sampled is decided first, and only then is the
// message searched for the context of its sender. One carrier serves a connection's read loop for all of its messages:
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
// The payload must not change before the message has ended. Where messages of one connection are handled concurrently,
// each needs a carrier of its own.
//
// # Sending
//
// The propagator of OpenTelemetry puts the context in. Everything else of the message stays as it is, byte for byte:
//
//	envelope.Reset(payload)
//	propagation.TraceContext{}.Inject(ctx, &envelope)
//	payload = envelope.Bytes()
//
// # What a peer can do
//
// Nothing that it sends is trusted, built or kept. A search takes no more than the first 64 KiB of a message, keeps no
// account of nesting but its depth, and allocates no more than the two values. A traceparent must have no space, a
// tracestate may, and otherwise both consist of printable ASCII, at most 512 bytes of it, which is what the W3C
// recommendation asks a tracestate to have room for. Anything else is taken as absent, as are other keys, such as
// baggage. Whether a traceparent is well formed is left to the propagator, and whether the sender is trusted, whose
// context then becomes the parent instead of a link, to the Observer.
//
// Whoever puts trace context into a message has it read to its end, since it is copied as well.
//
// # Other formats
//
// The instrument packages take any [propagation.TextMapCarrier]. Where a transport has headers, as HTTP has, no type of
// this package is needed: [propagation.HeaderCarrier] does for [net/http.Header], [propagation.MapCarrier] for a map.
// Three short methods make a carrier of anything else, such as the headers of NATS, whose names are case-sensitive; an
// example shows how.
package carrier
