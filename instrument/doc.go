// Package instrument makes the connections of a realtime service observable. Metrics, spans and log records that point
// at each other say how many connections are open, how they opened and ended, how long messages take, and what failed.
// The package knows no protocol. To connect it to a WebSocket server, wrap the server in the handler of
// [github.com/sockscope/sockscope/instrument/ws], or use a thin adapter such as
// [github.com/sockscope/sockscope/instrument/ws/coder].
//
// # Use
//
// An [Observer] observes one endpoint and is registered as a [prometheus.Collector]. Each request for a connection
// becomes a [Handshake] and, if it succeeds, a [Conn]. The service or the adapter calls their methods to note what
// happens:
//
//	observer, err := instrument.New(instrument.WithNamespace("chat"), instrument.WithMessageTypes("join", "message"))
//	registry.MustRegister(observer)
//	message := observer.MessageType("message")
//	…
//	_, handshake := observer.BeginHandshake(r.Context(), instrument.HTTPRequest(r))
//	conn := handshake.Opened(http.StatusSwitchingProtocols) // or handshake.Refused(…)
//	ctx := conn.Context(r.Context())                        // once per connection
//	…
//	err = conn.Handle(ctx, message, len(payload), envelope, func(ctx context.Context) error {
//		return handle(ctx, payload)
//	})
//	conn.Sent(message, len(reply))
//	conn.Closed(instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonNormal, Code: 1000})
//
// An adapter notes the handshake and the end. The application notes what only it knows: the types of messages, whether
// handling them succeeded, which messages its queues drop. A method that notes an event has the event's name. Things
// that take time have a method Begin… and an End. Methods of nil and zero values do nothing, so you can leave
// observation out without a condition anywhere.
//
// # Metrics
//
// All metrics carry the label namespace. The values of all other labels are from closed sets, which are Go types here.
// You register message types. A type that is not registered is exported as "other" and counted in
// sockscope_label_overflow_total. No peer can add a series. Histograms have classic buckets that suit their quantity,
// and native buckets alongside. Histograms of durations have exemplars with the trace_id and span_id of sampled spans.
// A series gets a new exemplar at most every 100 ms.
//
// [New] looks up every series that messages move. The Observer keeps each of these series once per processor, so
// connections do not wait for each other. [Conn.Received] and [Conn.Sent] take no lock, read no clock and do not
// allocate. [Conn.Handle] reads the clock twice. Only the first call of [Conn.Closed] counts, so
// websocket_active_connections is never negative, and it is 0 when all connections have closed.
//
// A scrape looks at all live connections and exports aggregates: how many connections have been silent for long, how
// full the fullest send queue is, how old the oldest message in a queue is (see [Conn.BeginDelivery]), and how long the
// oldest unanswered ping has been waiting (see [Conn.BeginPing]). The number of series does not depend on the number of
// connections. Times of the newest message are right to a quarter second. [Observer.Conns] lists the connections.
//
// # Fan-out
//
// A [Broadcast] is one message to many connections. A [Backplane] passes messages between the nodes of one service.
// Both have one span and one observation per message and node, whatever the number of recipients.
//
// # Shutdown
//
// [Observer.Drain] closes all connections and waits for them, which http.Server.Shutdown does not do for WebSockets.
//
// # Requests
//
// To a middleware that measures requests, a connection looks like a request that takes hours. With [UntilConnected] the
// middleware sees only the handshake.
//
// # Other protocols
//
// [WithProtocol] names a protocol other than websocket. The names of metrics and spans then begin with it.
//
// # Spans
//
// Traces are short and linked. websocket.handshake ends when the request is answered; no span lasts as long as the
// connection. websocket.message is one received message. It is a root span with links to the handshake and to the
// sender's trace context. If the peer is trusted, it is a child of the sender's span instead. It carries the number of
// the message on its connection. That number and the handshake's trace id identify the same message at the other end.
// websocket.close is short, too, and describes the whole connection in its attributes.
//
// Whether a message gets a span is decided before the span is started: by a trusted sender, by ratio, and by a cap per
// second. A message that fails or is slow always deserves a span, but that is known only at its end. Its span is made
// then, from the measured times. Handshakes and closes get spans up to a cap per second. Above the cap only refusals
// and failures get one. sockscope_spans_suppressed_total counts the spans that were not made.
//
// Use a context that comes from [Conn.Context] for everything that the service does on behalf of a connection.
// Otherwise the span of the request that opened the connection becomes the parent of everything.
//
// # Log records
//
// Records have constant messages, and everything else is in fields. The messages are "connection opened", "connection
// closed", "handshake refused", "message failed", "message slow", "connection error", "slow consumer closed",
// "backplane error", "backplane restored", "instrumentation misused". Each message has a limit per second. The field
// "suppressed" of the next record says how many were left out. A slow or failed message that has a span always has its
// record. Payloads are never logged, and long texts are cut. [NewLogHandler] adds the ids of trace, span and connection
// to the records of the whole service.
package instrument
