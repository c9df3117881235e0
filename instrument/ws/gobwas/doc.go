// Package gobwas observes the connections of a server that uses github.com/gobwas/ws.
//
// [UpgradeHTTP] and [Upgrade] take the place of those of ws and return a [Conn]: a net.Conn to be used with ws, wsutil, a
// buffer or a poller as before. It follows the frames in the bytes that pass through it, without changing, holding back
// or copying them, and finds out who ended the connection and why:
//
//   - a close frame of the peer: remote, with the reason that its code stands for, other if nobody has read the code
//   - a close frame of this side, as of wsutil.ControlHandler after a violation or of the application after
//     wsutil.ErrFrameTooLarge: local, with the reason of its code, or the one given to [Conn.CloseFor]
//   - [Conn.Close] without a close frame: local, abnormal, or shutdown while the Observer is draining, or protocol_error
//     if the peer has violated the protocol
//   - a read deadline that has passed before this side closes: network, ping_timeout with an unanswered ping, and local,
//     idle_timeout without; a deadline that was set in the past in order to give up a read is a cut
//   - a write that fails: network, write_error, at the next end that is not the peer's own
//   - a panic of the handler, seen by the deferred [Conn.Close]: local, internal
//   - everything else, as a TCP reset: network, abnormal
//
// A connection counts as open until [Conn.Close], which nobody may forget, as without an observer. Pings that the
// application sends are timed until their pongs are read.
//
// The application counts messages itself by [Conn.Observed], because only it knows their types, or has the adapter count
// them by [Conn.CountMessages].
//
// The price is a look at the header of each frame, a lock around each write, and nothing for the bytes of messages. Frames
// that are written by net.Buffers take a system call for each buffer, as on every net.Conn but those of package net: a
// wsutil.Writer or a bufio.Writer gathers them before.
package gobwas
