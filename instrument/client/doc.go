// Package client consumes a feed over a WebSocket without trusting the WebSocket. A socket is a trigger, never the
// truth: it breaks, stalls silently, skips, repeats and reorders. Reconnecting is the normal path. After each reconnect
// the client reconciles its state with a snapshot, before anybody acts on what was received.
//
// # Use
//
// The application describes its [Feed]: the streams, how messages become events, where snapshots can be fetched, and
// what to do with events and snapshots. [Client.Run] does the rest until its context ends:
//
//	c, err := client.New("wss://exchange.example/feed", client.Feed{
//		Streams:   []client.Stream{{Name: "book", Expect: 5 * time.Second, Snapshot: book.fetch, Restore: book.restore}},
//		Subscribe: subscribe,
//		Decode:    decode,
//		Handle:    book.apply,
//	}, client.WithName("exchange"))
//	registry.MustRegister(c)
//	err = c.Run(ctx)
//
// If a stream has snapshots, Handle gets every event after the last restored snapshot exactly once and without a gap.
// [Client.StreamState] says whether the application may act on its state: only if it is [Live]. An event's Received
// says how long the event has waited: see Slow handlers. The client survives errors and panics of all these functions.
//
// The examples are recipes for the order books of Binance, OKX, Bybit and Kraken.
//
// # States
//
//	Closed ── Run ─► Connecting ── subscribed ─► Reconciling ── restored ─► Live
//	                  ▲      │                        ▲                      │ │
//	           waited │      │ attempt failed         └── gap, slow or ──────┘ │
//	                  │      ▼                            failing handler      │ silence
//	                  Waiting ◄──── connection ended, whatever the state       │
//	                      ▲                                                    ▼
//	                      └──────────── connection replaced (default) ────── Stale
//
// Each stream has a state, and the client as a whole has the worst of them. A stream stops being Live as soon as there
// is a reason, even if the handler is still busy with earlier events. It becomes Live when the handler has restored the
// snapshot and handled all events received by then. If the queue was full meanwhile, so that more events were waiting
// at the server, the handler must have handled those, too. A stream without snapshots is Live as soon as it is
// subscribed to.
//
// # Reconciling
//
// After subscribing, and whenever a live stream has a gap, the client holds back the stream's events and fetches a
// snapshot. It leaves out the events that the snapshot contains, and puts the rest in order. If the rest doesn't
// continue the snapshot without a gap, the snapshot is older than the events. The client then fetches it again, as it
// does when fetching or restoring fails. Otherwise the handler gets the snapshot, the rest, and the events received
// since. Then the stream is Live. A snapshot may also be ahead of the stream. Events that it contains are then left out
// when they arrive. Each stream is reconciled separately, with one fetch at a time. The waits between attempts grow
// until the stream has been Live for 10 seconds.
//
// Some servers send snapshots among the events. Decode marks them by Event.Snapshot, and Stream.Resubscribe asks for
// another one. Such a snapshot is the truth whenever it arrives: the stream's numbers restart with it. A snapshot that
// continues a live stream is restored when the handler gets to it, and the stream stays Live.
//
// # Numbers
//
// A [Sequence] recognizes gaps, duplicates and late events. It restarts with each connection, because many feeds number
// the events of each connection. The snapshot has what was missed between two connections. A stream without snapshots
// goes on after a gap. Duplicates and late events are never handled, so no handler goes back in time.
//
//   - Numbers that restart on the same connection: Decode sets Event.Restart, or returns the snapshot that comes with
//     them.
//   - Invalid numbers: the event is refused as an error of decoding. [Sequence.Observe] says which numbers are valid.
//   - A feed that resumes: with Stream.Resume the numbers continue over connections. Events that are replayed twice are
//     not handled again, and events that are not replayed are counted as missing.
//
// Traffic does not prove health. A stream stops being Live when it receives nothing useful for a second and at least
// three times in a row: its events are old, invalid, or find no room in the queue, or the client understands no message
// at all. Then the client reconciles a stream with snapshots, and accepts a lower number. A stream without snapshots is
// Stale until something new arrives. A replay that reaches the newest number is healthy, and so is a server that
// repeats the newest event.
//
// # Connecting
//
// The wait before another attempt is a random part ("full jitter") of a ceiling. The ceiling doubles from
// [WithBackoff]'s shortest to its longest, until a connection has lasted for 10 seconds. This holds, too, for a server
// that accepts every client and drops it, or whose connections carry nothing new. The server's answer changes the wait:
//
//   - HTTP with Retry-After (seconds or a date): at least that long, at most 10 minutes, and the random wait after it
//   - HTTP 401 and 403: at least half of the longest wait, because the credentials will not get better soon
//   - close codes 1001, going away, and 1012, restart: spread over at least 5 seconds, because all clients reconnect
//   - close code 1013, try again later: at least half of the longest wait
//
// [WithEndpoint] sets a function that provides the address and the headers of each attempt. [Client.Reconnect] replaces a connection.
//
// The client gives up a connection when a ping is not answered in time (see [WithHeartbeat] for servers that never
// answer). It also does so when a stream has received nothing new for longer than the stream's Expect, because a dead
// subscription looks like that while pings are answered. For a stream that may be silent, set Tolerate in [Stream].
//
// # Slow handlers
//
// Between socket and handler is a bounded queue ([WithQueue]). While a stream is Live, its handler may lag by the
// length of the queue. The handler misses nothing, but an event that has waited may be too old to act on. Received says
// when the event arrived, Time when it happened. When the queue is full, the client stops reading for a while, so that
// the server feels backpressure. Silence and unanswered pings are ignored meanwhile. After that the client skips: a
// stream with snapshots continues from a new one when the handler has caught up, and any other stream loses the event.
//
// # Metrics
//
// A [Client] is a collector with the label client. Streams that are not registered appear as "other". If the HTTP
// client of [WithDialOptions] carries the messages over something else than a WebSocket, names stay as they are.
//
//   - websocket_client_connected, _disconnected_seconds_total: whether there is a connection, and for how long there
//     was none, up to the moment of the scrape
//   - _connect_attempts_total by result (the statuses of the server's own metric), _connect_duration_seconds,
//     _backoff_seconds: attempts, how long successful ones took, and the waits before others
//   - _disconnections_total by initiator and reason: connections that have ended. A stale stream, and a connection on
//     which nothing is received, are local, idle_timeout. Reconnect and the end of Run are local, normal. A stream that
//     only another connection can repair is local, other
//   - _first_message_seconds: from the handshake to the first event; _ping_rtt_seconds: from ping to pong
//   - _last_message_timestamp_seconds, _event_lag_seconds by stream: the newest event that was not left out, and how old
//     events are on receipt, which is the difference of two clocks. A negative lag counts as 0
//   - _stale by stream: 1 from when the stream was found silent or useless until it receives something new, even if the
//     connection is replaced in between
//   - _sequence_gaps_total, _missing_messages_total, _duplicates_total, _out_of_order_total by stream: the verdicts of
//     the sequence, within each connection unless the stream resumes. Missing numbers are counted, which may be more
//     than events. In a stream without snapshots, events for which a slow handler had no room are gaps, too
//   - _superseded_total by stream: events that were left out because a snapshot contains them, or will contain them
//   - _reconciliations_total by trigger (connect, reconnect, gap, restart, stale, slow, handler, manual) and result (ok,
//     error, behind, overflow, aborted): every attempt. _reconciliation_duration_seconds: from the trigger until Live
//   - _drift_total by stream: Restore found that the application's state was wrong, so acting on it would have been a
//     mistake
//   - _errors_total by kind (auth, decode, handler, panic)
//
// # Spans
//
// With a tracer provider (see [WithTracerProvider]), each attempt to connect has a span websocket.handshake, whose
// context is sent to the server. Sampled messages have a span websocket.message. Three values are the same on both
// sides and join the two ends of a message whose payload can't carry a context: the trace id of the handshake, the
// direction, and websocket.message.number, which counts from 1 on each connection. Events have trace id and number,
// too. A message's span has the trace id as websocket.handshake.trace_id, because not every store can search by links.
//
// # Log records
//
// Records have constant messages, and everything else is in fields. The messages are "connected", "connect failed",
// "connection lost", "connection closed", "reconciled", "reconciliation failed", "stream stale", "handler too slow",
// "message not understood", "event failed", "state callback failed". Each is written at most ten times a second. The
// field "suppressed" of the next record counts those left out. Records have no payloads, and of a URL only the host.
package client
