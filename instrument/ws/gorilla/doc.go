// Package gorilla observes the connections of a server that uses github.com/gorilla/websocket.
//
// [Upgrade] takes the place of Upgrader.Upgrade and returns a [Conn], which takes the place of *websocket.Conn: it has
// all of its methods, and those that matter are observed. They do what the transport's do, under the same rules of
// concurrency; from their results the adapter finds out who ended the connection and why:
//
//   - a close frame of the peer: remote, with the reason that its code stands for
//   - a close frame that the application writes: local, with the reason of its code; [Conn.CloseFor] with the one given
//   - [Conn.Close] alone: local, abnormal, which is shutdown while the Observer is draining; internal if it is deferred
//     and the function has panicked
//   - a read deadline that passes: network, ping_timeout if a ping is unanswered, otherwise local, idle_timeout; TCP's
//     own timeouts are no deadline, and one that [Conn.SetReadDeadline] sets in the past only wakes up the reader
//   - a write that fails: network, write_error, at the next end that is not the peer's own
//   - a message above the read limit: local, message_too_big; any other violation: local, protocol_error
//   - a handler of pings or pongs that returns an error of its own: as Close alone
//   - everything else, as a TCP reset: network, abnormal
//
// Pings are counted and timed by whatever method they are written, until the pong with the same payload is read.
//
// The application counts messages itself by [Conn.Observed] or has the adapter do so by [Conn.CountMessages]. It must
// read until reading fails or close the connection, as the transport requires anyway: that is when the connection is
// counted as closed.
package gorilla
