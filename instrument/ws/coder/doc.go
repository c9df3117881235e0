// Package coder observes the connections of a server that uses github.com/coder/websocket.
//
// [Accept] takes the place of websocket.Accept and returns a [Conn] with the methods that most servers need. They do
// what the transport's do; from their results the adapter finds out who ended the connection and why:
//
//   - a close frame of the peer: remote, with the reason that its code stands for
//   - [Conn.Close], [Conn.CloseFor], [Conn.CloseNow]: local, with the reason of the code or the one given, or abnormal
//     for a cut, which is shutdown while the Observer is draining
//   - a ping that is not answered in time: network, ping_timeout, at the next end that is not the peer's own
//   - a write that fails: network, write_error, likewise
//   - the context of a read: local, idle_timeout when its deadline has passed, a cut when it was cancelled; the context of
//     [Conn.CloseRead]: a cut
//   - a message above the read limit: local, message_too_big; a message after [Conn.CloseRead]: local, policy; any other
//     violation: local, protocol_error
//   - a panic of the handler, seen by the deferred [Conn.CloseNow]: local, internal
//   - everything else, as a TCP reset: network, abnormal
//
// The application counts messages itself by [Conn.Observed], because only it knows their types, or has the adapter count
// them by [Conn.CountMessages]. It must read until reading fails, or have [Conn.CloseRead] do it, or close the connection,
// as the transport requires anyway: that is when the connection is counted as closed.
//
// Not observed is what takes a *websocket.Conn, which is to be had by [Conn.Unwrap]: websocket.NetConn and package wsjson.
// Nobody then sees the peer's close frame, and the connection counts as cut when [Conn.CloseNow] is called. In place of
// wsjson there are encoding/json and the messages, readers and writers of the Conn.
package coder
