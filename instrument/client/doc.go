// Package client consumes a feed over a WebSocket that is not to be trusted. A socket is a trigger, never the truth: it
// breaks, stalls silently, skips, repeats and reorders. Here reconnecting is the normal path, and after it comes
// reconciliation with a snapshot, before anybody acts on what was received.
//
// # Use
//
// The application describes its [Feed]: the streams, how messages become events, where the truth can be fetched, and
// what to do with each. [Client.Run] does the rest until its context ends:
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
// Handle gets every event of a stream that has snapshots exactly once and without a gap, counted from the snapshot
// that Restore was given last. [Client.StreamState] says whether the application may act upon what it holds: only
// [Live] will do. An event's Received says whether it has waited too long for that: see Slow handlers. Package and
// program survive errors and panics of all these functions.
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
// Each stream has its state, and the client as a whole has the worst of them. A stream ceases to be Live at the moment
// in which there is a reason, even if the handler is busy with events from before. It becomes Live when the handler has
// restored the snapshot and handled everything that was received by then; if the queue was full meanwhile, so that more
// was waiting at the server, also that. A stream without snapshots is Live as soon as it is subscribed to.
//
// # Reconciling
//
// Once subscribed, and whenever a live stream has a gap, the client holds the stream's events back and fetches a
// snapshot. It leaves out the events that the snapshot contains, and puts the rest in order. If the rest doesn't
// continue the snapshot without a gap, the snapshot is older than the events: it is fetched again, as it is when
// fetching or restoring fails. Otherwise the handler gets the snapshot, the rest, and what has come since; then the
// stream is Live. A snapshot may also be ahead of the stream: what it contains is left out when it arrives. Each stream
// is reconciled by itself, never by two fetches at a time, and the waits between attempts grow until it has been Live
// for 10 seconds.
//
// Some servers send snapshots among the events. Decode marks them by Event.Snapshot, and Stream.Resubscribe asks for
// another one. Such a snapshot is the truth whenever it comes: it begins the numbers anew. One that continues a live
// stream is restored in its turn, and the stream stays Live.
//
// # Numbers
//
// A [Sequence] tells gaps, duplicates and late events. It begins anew with each connection, because many feeds number
// each one's events; the snapshot tells what was missed between two connections. A stream without snapshots goes on
// after a gap. Duplicates and late events are never handled, so no handler goes back in time.
//
//   - Numbers that begin anew on the same connection: Decode says so by Event.Restart, or by the snapshot that comes
//     with them.
//   - Invalid numbers: the event is refused as an error of decoding. See [Sequence.Observe] for what is valid.
//   - A feed that resumes: Stream.Resume lets the numbers go on over connections. What is replayed twice is not handled
//     again, and what is not replayed is counted as missing.
//
// Traffic does not prove health. A stream stops being Live when it receives nothing useful: when for a second, and at
// least three times in a row, its events are older than what it has received, or invalid, or find no room in the queue, or
// when the client understands no message at all. Then the client reconciles a stream with snapshots, and accepts a lower
// number. A stream without snapshots is Stale until something new arrives. A replay that reaches the newest number is
// healthy, and so is a server that repeats the newest event.
//
// # Connecting
//
// Waits before another attempt are a random part ("full jitter") of a ceiling that doubles from [WithBackoff]'s
// shortest to its longest, until a connection has lasted for 10 seconds. A server that accepts everybody and drops them
// is no exception, nor is one whose connections carry nothing new from their start. What the server says changes the
// wait:
//
//   - HTTP with Retry-After (seconds or a date): at least that long, at most 10 minutes, and the random wait after it
//   - HTTP 401 and 403: from half of the longest wait, because haste will not make the credentials better
//   - close codes 1001, going away, and 1012, restart: at least spread over 5 seconds, because everybody comes back
//   - close code 1013, try again later: from half of the longest wait
//
// [WithEndpoint] asks for the address and the headers of each attempt, [Client.Reconnect] replaces a connection.
//
// The client gives a connection up when a ping is not answered in time (see [WithHeartbeat] for servers that never
// answer), and when a stream has had nothing new to say for longer than [Stream] expects: a subscription that has died
// looks like that while pings are answered. The client of a silent stream can be told to tolerate it.
//
// # Slow handlers
//
// Between socket and handler is a bounded queue ([WithQueue]). A handler may lag by that much while the stream is Live:
// nothing is missing from what it is given, but an event that has waited may be too old to act upon. Its Received tells
// how long ago it came, its Time how long ago it happened. When the queue is full, the client stops reading for a while,
// which is the server's turn to feel it; silence and unanswered pings count for nothing meanwhile. After that it skips:
// a stream with snapshots goes on from a new one when the handler has caught up, another loses the event.
//
// # Metrics
//
// A [Client] is a collector with the label client; streams that are not registered appear as "other".
//
//   - websocket_client_connected, _disconnected_seconds_total: whether there is a connection, and for how long there
//     was none, up to the moment of the scrape
//   - _connect_attempts_total by result (the words of the server's own metric), _connect_duration_seconds,
//     _backoff_seconds: attempts, how long successful ones took, and the waits before others
//   - _disconnections_total by initiator and reason: connections that have ended. Stale, and nothing received at all, is
//     local, idle_timeout; Reconnect is local, normal, as the end of Run is; a stream that only another connection can
//     repair is local, other
//   - _first_message_seconds: from the handshake to the first event; _ping_rtt_seconds: from ping to pong
//   - _last_message_timestamp_seconds, _event_lag_seconds by stream: the newest event that was not left out, and how old
//     events are on receipt, by two clocks; less than nothing counts as nothing
//   - _stale by stream: 1 from when it was found silent, or of no use, until it has something new to say, even if the
//     connection is replaced in between
//   - _sequence_gaps_total, _missing_messages_total, _duplicates_total, _out_of_order_total by stream: what the
//     sequence says, within each connection unless the stream resumes. Missing are numbers, which may be more than
//     events. Events that a slow handler had no room for are gaps, too, where no snapshot makes good
//   - _superseded_total by stream: events that were left out because a snapshot contains them, or is going to
//   - _reconciliations_total by trigger (connect, reconnect, gap, restart, stale, slow, handler, manual) and result (ok,
//     error, behind, overflow, aborted): every attempt. _reconciliation_duration_seconds: from the trigger until Live
//   - _drift_total by stream: Restore found other state than was held, so acting on it would have been a mistake
//   - _errors_total by kind (auth, decode, handler, panic)
//
// # Spans
//
// With a tracer provider, see [WithTracerProvider], each attempt to connect has a span websocket.handshake, whose
// context goes to the server, and sampled messages have a span websocket.message. The trace id of the handshake, the
// direction and websocket.message.number, which counts from 1 on each connection, are the same on both sides: they join
// the two ends of a message whose payload can't carry a context. Events tell them to the handler, too, and a message's span
// has the trace id as websocket.handshake.trace_id, because not every store can search by links.
//
// # Log records
//
// Constant messages with fields: "connected", "connect failed", "connection lost", "connection closed", "reconciled",
// "reconciliation failed", "stream stale", "handler too slow", "message not understood", "event failed", "state
// callback failed". Each is written at most ten times a second; the next one says as "suppressed" how many were left
// out. There are no payloads in them, and no more of a URL than its host.
package client
