// Package sse serves streams of server-sent events over net/http and observes them with the vocabulary of every other
// transport. It needs nothing but net/http, and works over HTTP/1.1 and HTTP/2 alike.
//
//	observer, err := instrument.New(instrument.WithProtocol(sse.Protocol), instrument.WithNamespace("prices"))
//	…
//	stream, err := sse.Accept(w, r, observer)
//	if err != nil {
//		return // answered, counted and logged
//	}
//	defer stream.Close()
//
// [Accept] answers the request or refuses it, and returns a [Stream] to send events by. The application counts events
// itself by [Stream.Observed], because only it knows their types, or leaves it to the stream by [Stream.CountMessages].
// The handler must defer [Stream.Close]: that is when a stream is counted as closed that has not ended before. A handler
// that waits for events returns when [Stream.Context] is done.
//
// # How a stream ends
//
// Server-sent events have no close frame. A peer that leaves closes its connection or, over HTTP/2, resets the stream, and
// net/http cancels the request's context; a connection that breaks looks just the same. So what can be known is this:
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
// There are no close codes. A peer from which nothing more arrives, not even the closing of its connection, is found out
// only by writing, so idle streams need a comment now and then.
//
// # Deadlines
//
// A server's ReadTimeout and WriteTimeout are meant for requests and answers that end soon. Accept lifts both for the
// stream. Each write has a deadline of its own, see [Stream.SetWriteTimeout]. Where a middleware hides the deadlines of
// the ResponseWriter, because its own has no Unwrap method, a WriteTimeout of the server ends every stream: Accept then
// writes the log record "instrumentation misused", once.
package sse
