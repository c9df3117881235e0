// Package ws observes the WebSockets of any server, whatever library it uses, with one line around its handler:
//
//	http.Handle("/ws", ws.Handler(observer, next))
//
// The code behind the [Handler] does not change. It may use gorilla/websocket, coder/websocket, gobwas/ws, melody, gqlgen,
// centrifuge, golang.org/x/net/websocket or anything else that hijacks the connection from the ResponseWriter, and it may
// be an httputil.ReverseProxy that only passes WebSockets on. The Handler may also be put around a whole mux: requests
// that do not ask for a WebSocket pass through it untouched.
//
// # What it sees
//
// A request that asks for a WebSocket is a handshake, and counts once, by what becomes of it: connected if it is answered
// with 101, by the ResponseWriter or on the hijacked connection, and otherwise refused with the status that the answer
// stands for. A server that ignores the wish and answers with a page has refused it, as a bad handshake. A peer that is
// gone before it is answered is a bad handshake, too.
//
// Of a connection it sees all messages and their sizes, pings and the times until their pongs are read, and who ended it
// and why: the peer by a close frame, this side by one or without, a deadline, a failed write, the network. The causes
// are those of the adapters. A connection counts as open until it is closed, also when the handler returns before. One
// that the handler closes without a close frame counts until the handler has returned or panicked, which decides the
// cause.
//
// A panic of the handler counts as an error and goes on; if the connection is not closed by then, the Handler closes it
// with the code 1011. [instrument.Observer.Drain] closes connections with the code 1001, behind the frame that is being
// written, and lets the code behind the Handler read the peer's close frame for up to a second. Nothing else is ever sent.
//
// # What it cannot know
//
// All messages have the type "other", because only the application knows theirs, and sizes are those on the wire, masked
// and compressed. How long messages take to handle, why the application refuses or drops something, and which trace
// context a message carries, is not in the frames. An adapter adds it: where the code behind the Handler uses one, such
// as coder.Accept, with the same Observer, the adapter continues the handshake and observes the connection, and the
// Handler steps back. Nothing counts twice.
//
// Not observed are WebSockets over HTTP/2, which have no connection of their own, and event streams, for which there is
// package sse.
//
// # What the code behind it gets
//
// The ResponseWriter can flush, be hijacked and be unwrapped where the server's own can. The connection that is hijacked
// is a net.Conn that carries the bytes unchanged, with the methods CloseWrite and SyscallConn where the one underneath
// has them; NetConn returns that one, such as the *net.TCPConn, as the method of tls.Conn does. Frames that are written
// or read there, or by the file descriptor, are not observed; parts of frames must not be.
//
// The price is a look at the header of each frame and a lock around each write; an echo over loopback takes 2 to 4 % more time.
// Frames that are written by net.Buffers take a system call for each buffer, as on every net.Conn but those of
// package net; gorilla/websocket writes messages so that are larger than its buffer, which its adapter gathers again. A
// ReverseProxy copies what it could otherwise splice.
//
// A file that imports github.com/gobwas/ws, too, gives one of the two packages another name.
package ws
