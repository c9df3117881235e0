// Package instrument makes the connections of a realtime service observable: how many are open, how they opened and
// ended, how long messages take, and what failed, in metrics, spans and log records that point at each other. It knows no
// protocol. The handler of [github.com/sockscope/sockscope/instrument/ws] around any WebSocket server, or a thin adapter
// such as [github.com/sockscope/sockscope/instrument/ws/coder], connects it to one.
//
// # Use
//
// An [Observer] observes one endpoint and is registered as a [prometheus.Collector]. Each request for a connection
// becomes a [Handshake] and, if it succeeds, a [Conn], the handle by which the service, or the adapter, notes what
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
// An adapter notes the handshake and the end. The application notes what only it knows: types of messages, whether
// handling them succeeded, what its queues drop. A method that notes an event has the event's name. What lasts has a
// Begin… and an End. Methods of nil and zero values do nothing, so that you can leave observation out without a condition
// anywhere.
//
// # Metrics
//
// All metrics carry the label namespace and otherwise only labels from closed sets, which are Go types here. You register
// message types; one that is not registered is exported as "other" and counted in sockscope_label_overflow_total. No peer
// can add a series. Histograms have classic buckets made for their quantity and native ones alongside. Those of durations
// have exemplars with the trace_id and span_id of sampled spans, a new one at most every 100 ms per series.
//
// The Observer looks up every series that a message moves when it is made, and keeps each once per processor, so that
// connections do not wait for each other. [Conn.Received] and [Conn.Sent] take no lock, read no clock and do not
// allocate. [Conn.Handle] reads the clock twice. Only the first [Conn.Closed] counts a connection down, whoever calls it
// in whatever order, so websocket_active_connections is never negative, and 0 when all have closed.
//
// What only live connections know is asked of them at scrape and exported as aggregates: how many have been silent for
// long, how full the fullest send queue is and how old the oldest message in one (see [Conn.BeginDelivery]), how long a
// ping has been waiting (see [Conn.BeginPing]). The number of series does not depend on the number of connections. Times
// of the newest message are right to a quarter second. [Observer.Conns] lists the connections.
//
// # Fan-out
//
// A [Broadcast] is one message to many connections, and a [Backplane] is the way by which the nodes of one service pass
// messages to each other. Both have one span and one observation per node, however many recipients there are.
//
// # Shutdown
//
// [Observer.Drain] closes all connections and waits for them, which http.Server.Shutdown does not do for WebSockets.
//
// # Requests
//
// Middleware that measures requests takes a connection for one that lasts hours. [UntilConnected] lets it see no more of
// a connection than its handshake.
//
// # Other protocols
//
// [WithProtocol] names another protocol than websocket in everything that is exported.
//
// # Spans
//
// Traces are short and linked. websocket.handshake ends when the request is answered; no span lasts as long as the
// connection. websocket.message is one received message: a root with links to the handshake and to the context that its
// sender gave, or that context's child if the peer is trusted. It carries the number of the message on its connection,
// which, with the handshake's trace id, identifies the same message at the other end. websocket.close is short, too, and
// describes the whole connection in its attributes.
//
// Whether a message gets a span is decided before one is started: by a trusted sender, by ratio, and by a cap per second.
// Messages that fail or are slow are worth a span but are known too late; theirs is made afterwards from the times
// measured. Handshakes and closes have one as long as there are no more of them per second than a cap of theirs; beyond
// it only refusals and failures have. sockscope_spans_suppressed_total counts those without.
//
// Use a context that comes from [Conn.Context] for everything that the service does on behalf of a connection. It keeps
// the span of the request that opened the connection from becoming the parent of everything.
//
// # Log records
//
// Records have constant messages and say the rest in fields: "connection opened", "connection closed", "handshake
// refused", "message failed", "message slow", "connection error", "slow consumer closed", "backplane error", "backplane
// restored", "instrumentation misused". Each message has a limit per second; the next record says as "suppressed" how
// many were left out. A slow or failed message that has a span always has its record. Payloads are never logged, and
// texts are cut. [NewLogHandler] adds the ids of trace, span and connection to the records of the whole service.
package instrument
