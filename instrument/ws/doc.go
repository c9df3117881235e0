// Package ws observes the WebSockets of any server, whatever library it uses, with one line around its handler:
//
//	http.Handle("/ws", ws.Handler(observer, next))
//
// The code behind the [Handler] does not change. It may use gorilla/websocket, coder/websocket, gobwas/ws, melody,
// gqlgen, centrifuge, golang.org/x/net/websocket or anything else that hijacks the connection from the ResponseWriter.
// It may also be an httputil.ReverseProxy that only passes WebSockets on. You may put the Handler around a whole mux:
// requests that do not ask for a WebSocket pass through it untouched.
//
// # What it sees
//
// A request that asks for a WebSocket is a handshake, and counts once. It counts as connected if it is answered with
// 101, by the ResponseWriter or on the hijacked connection. Otherwise it counts as refused, with the status that the
// answer stands for. If the server ignores the upgrade and answers with a page, that is a bad handshake. If the peer is
// gone before it is answered, that is a bad handshake, too.
//
// Of a connection it sees all messages and their sizes, pings and the times until their pongs are read, and who ended
// it and why: the peer by a close frame, this side with or without one, a deadline, a failed write, or the network. The
// causes are the same as with the adapters. A connection counts as open until it is closed, even if the handler returns
// before. If the handler closes it without a close frame, it counts until the handler has returned or panicked, because
// that decides the cause.
//
// A panic of the handler counts as an error and goes on. If the connection is not closed by then, the Handler closes it
// with the code 1011. [instrument.Observer.Drain] closes connections with the code 1001, after the frame that is being
// written, and lets the code behind the Handler read the peer's close frame for up to a second. The Handler never sends
// anything else.
//
// # What it cannot know
//
// All messages have the type "other", because only the application knows their types. Sizes are those on the wire,
// masked and compressed. Frames don't show how long messages take to handle, why the application refuses or drops
// something, and which trace context a message carries. An adapter adds that. If the code behind the Handler uses an
// adapter, such as coder.Accept, with the same Observer, the adapter continues the handshake and observes the
// connection, and the Handler steps back. Nothing counts twice.
//
// WebSockets over HTTP/2, which have no connection of their own, are not observed. Nor are event streams: use package
// sse for them.
//
// # What the code behind it gets
//
// The ResponseWriter can flush, be hijacked and be unwrapped if the server's own can. The hijacked connection is a
// net.Conn that carries the bytes unchanged. It has the methods CloseWrite and SyscallConn if the connection underneath
// has them. Its method NetConn returns that connection, such as the *net.TCPConn, like the method of tls.Conn. Frames
// that are written or read there, or by the file descriptor, are not observed. Write or read only whole frames there.
//
// The Handler costs a look at the header of each frame and a lock around each write: an echo over loopback takes 2 %
// more time. A header that is written by itself is sent together with the first bytes behind it. That saves a system
// call and a packet, and so gobwas/ws needs a quarter less time for an echo than without the Handler. Frames that are
// written by net.Buffers take a system call for each buffer, as on every net.Conn outside of package net.
// gorilla/websocket does that for messages that are larger than its buffer, and its adapter gathers them again. A
// ReverseProxy has to copy bytes that it could otherwise splice.
//
// If a file also imports github.com/gobwas/ws, give one of the two packages another name.
package ws
