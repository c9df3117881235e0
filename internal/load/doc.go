// Package load drives the demo with many connections and reports the truth about the result: how long messages took
// from the moment they were due, which never came, which came twice, and which were refused.
//
// The load is open-loop. A message is sent when it is due, whatever the server is doing, and its time counts from then.
// So a server that stalls can neither slow down the load nor hide the messages that waited meanwhile. If the connection
// is away when a message is due, the message is sent when the connection is back, and its time still counts from when
// it was due.
//
// # Scenarios
//
// A scenario is a YAML file. It says what it is about, how long it lasts once all are connected, and describes groups
// of connections that behave alike. Scenarios lists the built-in ones.
//
//	about: People talk in small rooms.
//	duration: 30s
//	groups:
//	  - name: people
//	    does: chat
//	    connections: 50
//	    rate: 50
//
// A group has these fields. Only name and does are required:
//
//	name         what it is called in errors
//	does         chat       is in a room, sends messages, and checks all that the room gets
//	             feed       is subscribed to the market, and checks that no tick is missing
//	             idle       does nothing but answer pings
//	             malformed  sends frames that can't be read, each of which has to be answered by an error or,
//	                        where WebSocket demands it, by the end of the connection with 1002
//	             oversize   sends frames that are too large, each of which has to be answered by 1009
//	             bad-token  makes handshakes with tokens that do not hold, each of which has to be answered by 401
//	transport    websocket, sse, poll, grpc or socketio; default websocket. A group over poll does chat and listens only,
//	             because clients that poll can't send. Provocations are about WebSockets
//	connections  how many there are; for bad-token there are none
//	ramp         the time over which they are opened; default: as quickly as possible
//	rooms        of chat: the connections are spread over rooms 1 to this one. Groups share these rooms.
//	             Default: one for every ten connections
//	rate         messages, frames or handshakes per second, of the whole group; default: none
//	text         of chat: bytes of a message's text; default 44
//	lifetime     churn: how long a connection stays on average before it is closed in order; it reconnects at once
//	storm        how often all connections are cut at once, without a close frame; they reconnect at once
//	read         slow readers: bytes per second that each connection reads; default: no limit
//	vanish       half-open peers: when, after all are connected, they stop reading and answering, without a close frame
//
// # What is checked
//
// Every message must be acknowledged once. Every member of a room must get each of its messages once and in the order
// of their sequence numbers, from where it joined to the last known one. A gap counts as lost messages. Subscribers to
// the market must get batches that continue each other. A connection that ends unexpectedly is counted and reconnects
// after a wait that doubles, with jitter. It joins with the last sequence number it knows, so the messages sent
// meanwhile must come as history. It sends messages that were not acknowledged again, with the same id. A peer that is
// not let into its room again, or is refused the history, asks again after such waits. Each refusal counts as a refusal
// of a request, not of a message. A peer without any answer tries another connection. With Config.Verify, the history
// of each room is read at the end: every acknowledged message must be there once.
//
// With several transports, all of this is checked for each of them, see Result.Transports. A client that polls is in no
// room: it must get each message once and in order from its first poll on.
//
// Refusals that have to happen are counted under Result.Expected. A group that reads slowly or vanishes may miss
// messages and may be disconnected, which is counted there, too.
//
// # Size
//
// A connection costs one goroutine and about 8 KiB. One source address has about 28,000 ports for one target (see
// net.ipv4.ip_local_port_range), so 100,000 connections from one machine take at least four addresses; see
// Config.Sources. Each takes a file descriptor (ulimit -n).
//
// That is so for WebSockets; a client over HTTP or gRPC costs more goroutines and several times as much memory.
//
// These connections are not made by package instrument/client, which is meant for the few connections of a program,
// with metrics, a queue and goroutines for each. Everything that the load finds is in its result.
package load
