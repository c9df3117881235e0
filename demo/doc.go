// Package demo is a realtime service as people run them: chat rooms with presence, history and receipts, a market feed,
// notifications, a dashboard, documents and a game, over WebSockets, server-sent events, Socket.IO, gRPC and polling,
// on one node or several. Everything that is observable of their connections is so through package instrument; the demo
// is that package's largest example.
//
// Its parts are packages of their own, each of which knows only those further up in this list:
//
//	proto/…          the protocol in protobuf
//	wire             the protocol: envelope, payloads, encodings
//	auth, history, presence, outbox, observe
//	                 tokens; messages; who is where; send queues; observers
//	room, admission  who on this node gets what; who comes in
//	cluster          all nodes: who is in a room, and telling all of them something
//	use/…            what people do; package use is what all of them implement
//	session          who is connected, what they may, and which use handles what they ask
//	transport/…      how they are connected
//	fault/inject     how each of these breaks on request, by switches of package fault
//	demo             configuration (Config), wiring (New), routes (Server.Handler)
//
// To add a transport, make a package below transport. Its handler lets a request in by an admission.Gate, opens a
// session of its connection, which is the session's session.Link, hands what the peer sends to Session.Receive, and
// calls Session.End. Add an observer and the handler to build and a route to Server.Handler. A transport that is not
// served by net/http, such as gRPC, has a method like Server.ServeGRPC, and its listener is decorated by faults. A
// transport without connections, such as polling, opens no session and has metrics of its own. One that has several
// connections in one, such as Socket.IO with its namespaces, has an observer and a session for each. Its client belongs
// into internal/transport, so that load, probe and bot can use it.
//
// To add a use, make a package below use with a use.Use, add its types and payloads to package wire, and add it to the
// uses in build. Sessions dispatch requests by their type.
//
// To add a fault, add its switch to the list in package inject, ask it in the decorator of the interface where it would
// strike in earnest, and describe it in docs/faults.md. A fault of a new interface is a new decorator, applied in
// build.
//
// A test holds the packages to this order.
package demo
