// Package instrument makes the connections of a realtime service observable: it tells how many are open, how they
// opened and ended, how long messages take and what failed, in metrics, spans and log records that point at each other.
// It knows no transport; thin adapters such as [github.com/sockscope/sockscope/instrument/ws/coder] connect it to one.
//
// # Use
//
// An [Observer] observes one endpoint and is registered as a [prometheus.Collector]. Each upgrade request becomes a
// [Handshake], and if it succeeds a [Conn], the handle by which the service, or the adapter, tells what happens:
//
//	observer, err := instrument.New(instrument.WithNamespace("chat"), instrument.WithMessageTypes("join", "message"))
//	registry.MustRegister(observer)
//	message := observer.MessageType("message")
//	…
//	ctx, handshake := observer.Handshake(r.Context(), propagation.HeaderCarrier(r.Header), r.Host)
//	conn := handshake.Opened(http.StatusSwitchingProtocols) // or handshake.Refused(…)
//	ctx, m := conn.Receive(ctx, message, len(payload), envelope)
//	m.End(handle(ctx, payload))
//	conn.Sent(message, len(reply))
//	conn.Close(instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonNormal, Code: 1000})
//
// An adapter does the handshake and the closing. What only the application knows, it tells itself: types of messages,
// whether handling them succeeded, what its queues drop. The methods of nil and zero values do nothing, so observation
// can be left out without a condition anywhere.
//
// # Metrics
//
// All metrics carry the label namespace and otherwise only labels from closed sets, which are Go types here. Message
// types are registered; a type that is not is exported as "other" and counted in sockscope_label_overflow_total. No
// peer can add a series. Histograms have classic buckets made for their quantity and native ones alongside; those of
// durations have exemplars with the trace_id and span_id of sampled spans, a new one at most every 100 ms per series.
//
// Every series that a message moves is looked up when the Observer is made, and is there once per processor, so that
// connections do not wait for each other. [Conn.Received] and [Conn.Sent] take no lock, read no clock and do not
// allocate; [Conn.BeginMessage] with [Message.End] reads the clock twice. A connection is counted down by the first
// [Conn.Close] only, whoever calls it in whatever order, so websocket_active_connections is never negative and 0 when
// all have closed.
//
// What only live connections know is asked of them at scrape and exported as aggregates: how many have been silent for
// long, how full the fullest send queue is and how old the oldest message in one (see [Conn.BeginDelivery]), how long a ping
// has been waiting (see [Conn.BeginPing]). The number of series does not depend on the number of connections. Times of the
// newest message are right to a quarter second. [Observer.Conns] lists the connections for whoever wants to see each.
//
// # Fan-out
//
// A [Broadcast] is one message to many connections, and a [Backplane] is the way by which the nodes of one service pass
// messages to each other. Both have one span and one observation per node, however many recipients there are.
//
// # Other transports
//
// [WithProtocol] names another prefix than websocket for all that is exported. What measures HTTP requests should leave
// out those that become connections: see [IsUpgrade] and [WithoutUpgrades].
//
// # Spans
//
// Traces are short and linked. websocket.handshake ends when the request is answered; no span lasts as long as the
// connection. websocket.message is one received message: a root of its own with links to the handshake and to the
// context that its sender gave, or that context's child if peers are trusted. websocket.close is short, too, and tells
// of the whole connection in its attributes.
//
// Which messages get a span is decided before one is started: by a trusted sender, by ratio, and by a cap per second.
// Messages that fail or are slow are worth a span but are known too late; theirs is made afterwards from the times
// measured. Handshakes and closes have one as long as there are no more of them per second than a cap of theirs; beyond it
// only refusals and failures have. sockscope_spans_suppressed_total counts those without.
//
// The context that a service works in for as long as a connection lasts should come from [Conn.Context], which keeps the
// span of the request that opened it from becoming the parent of everything.
//
// # Log records
//
// Records have constant messages and say the rest in fields: "connection opened", "connection closed", "handshake
// refused", "message failed", "message slow", "connection error", "slow consumer closed", "backplane error". Each message
// has a limit per second; the next record tells as "suppressed" how many were left out. A slow or failed message that has
// a span always has its record. Payloads are never logged, and texts are cut. [NewLogHandler] adds the ids of trace, span
// and session to the records of the whole service.
package instrument
