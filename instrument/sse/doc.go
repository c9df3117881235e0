// Package sse serves streams of server-sent events over net/http, and observes them with the same vocabulary as every
// other transport. It needs only net/http, and works over HTTP/1.1 and HTTP/2.
//
//	observer, err := instrument.New(instrument.WithProtocol(sse.Protocol), instrument.WithNamespace("prices"))
//	…
//	stream, err := sse.Accept(w, r, observer)
//	if err != nil {
//		return // answered, counted and logged
//	}
//	defer stream.Close()
//
// [Accept] answers the request or refuses it, and returns a [Stream] for sending events. The application counts events by
// [Stream.Observed], because only it knows their types. Or it calls [Stream.CountMessages], and the stream counts them. The
// handler must defer [Stream.Close], because a stream that has not ended before is counted as closed then. A handler
// that waits for events must return when [Stream.Context] is done.
//
// # How a stream ends
//
// Server-sent events have no close frame. A peer that leaves closes its connection or, over HTTP/2, resets the stream,
// and net/http cancels the request's context. A connection that breaks looks the same. So a stream can end in these
// ways:
//
//   - the request's context is cancelled, or an event could not be written because there is no connection anymore:
//     remote, going_away. Most of these peers left and some were cut off; HTTP does not say more. It is noticed by the
//     next [Stream.Send], [Stream.Comment] or [Stream.Close], so a handler should watch the context.
//   - the request's context is cancelled with a cause of its own, as one below signal.NotifyContext is when the server
//     stops: local, shutdown; its deadline has passed: local, normal
//   - an event could not be written in time, because the peer does not read or the network does not deliver: network,
//     write_error, and an error of the kind write
//   - [Stream.Close] while the peer is still there: local, normal
//   - Observer.Drain, and any of these but write_error while the Observer is draining: local, shutdown. Drain sends a
//     retry hint of one to five seconds, unless the application has sent one, so that peers do not all come back at once.
//   - [Stream.CloseFor]: local, for the reason given, such as slow_consumer
//   - a panic in the handler: local, internal, and an error of the kind panic; http.ErrAbortHandler is meant to cut the
//     stream and is local, abnormal
//   - the server's WriteTimeout, see below: local, internal
//
// There are no close codes. If a peer vanishes without closing its connection, only writing shows it. So send a comment
// on idle streams now and then.
//
// # Deadlines
//
// A server's ReadTimeout and WriteTimeout are meant for requests and answers that end soon. Accept lifts both for the
// stream. Each write has its own deadline, see [Stream.SetWriteTimeout]. If a middleware hides the deadlines of the
// ResponseWriter, because its own has no Unwrap method, the server's WriteTimeout ends every stream. Accept then writes
// the log record "instrumentation misused", once.
package sse
