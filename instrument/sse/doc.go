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
// The handler must defer [Stream.Close]: that is when a stream is counted as closed that has not ended before.
//
// # How a stream ends
//
// Server-sent events have no close frame. A peer that leaves closes its connection or, over HTTP/2, resets the stream, and
// net/http cancels the request's context; a connection that breaks looks just the same. So what can be known is this:
//
//   - the request's context is done, or an event could not be written because there is no connection anymore: remote,
//     going_away. That most of them left and some were cut off is as much as HTTP says. It is noticed by the next
//     [Stream.Send], [Stream.Comment] or [Stream.Close], so a handler should watch the context.
//   - an event could not be written in time, because the peer does not read or the network does not deliver: network,
//     write_error, and an error of the kind write
//   - [Stream.Close] while the peer is still there: local, normal
//   - either of the first and the last while the Observer is draining: local, shutdown, since it is us who close
//     connections then
//   - [Stream.CloseFor]: local, for the reason given, such as slow_consumer
//   - a panic in the handler: local, internal, and an error of the kind panic; http.ErrAbortHandler is meant to cut the
//     stream and is local, abnormal
//
// There are no close codes: the code is always 0. A peer from which nothing more arrives, not even the closing of its
// connection, is found out only by writing, so idle streams need a comment now and then.
//
// # Idle streams
//
// Nothing is ever received on an event stream, and sse_idle_connections counts connections on which nothing was received
// for longer than its label says. So it tells how many streams have been open for longer than 30 s, 1 min and 5 min,
// whatever was sent on them. That is no sign of trouble here, and no alert should be made of it. Whether events flow is
// told by sse_messages_total and sse_last_message_timestamp_seconds, both with the direction transmit, and for a single
// stream by the Stats of [Stream.Observed]; whether peers take them, by sse_errors_total of the kind write.
//
// # Deadlines
//
// A server's ReadTimeout and WriteTimeout are meant for requests and answers that end soon. Accept lifts both for the
// stream. Each write has a deadline of its own, see [Stream.SetWriteTimeout].
package sse
