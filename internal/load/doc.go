// Package load drives the demo with many connections and tells the truth about what came of it: how long things took
// from the moment they were due, what never came, what came twice, and what was refused.
//
// The load is open-loop. What is due is sent when it is due, whatever the server is doing, and times count from when
// something was due: a server that stalls can neither slow the load down nor hide what waited meanwhile. A message that
// is due while its connection is away is sent when it is back, and its time counts all the same.
//
// # Scenarios
//
// A scenario is a YAML file: what it is about, how long it lasts once all are connected, and groups of connections that
// behave alike. Scenarios lists those that come along.
//
//	about: People talk in small rooms.
//	duration: 30s
//	groups:
//	  - name: people
//	    does: chat
//	    connections: 50
//	    rate: 50
//
// A group has these fields; all but name and does may be left out:
//
//	name         what it is called in errors
//	does         chat       is in a room, sends messages, and checks all that the room gets
//	             feed       is subscribed to the market, and checks that no tick is missing
//	             idle       does nothing but answer pings
//	             malformed  sends frames that can't be read, each of which has to be answered by an error or,
//	                        where WebSocket demands it, by the end of the connection with 1002
//	             oversize   sends frames that are too large, each of which has to be answered by 1009
//	             bad-token  makes handshakes with tokens that do not hold, each of which has to be answered by 401
//	connections  how many there are; for bad-token there are none
//	ramp         the time over which they are opened; default: as quickly as possible
//	rooms        of chat: the connections are spread over rooms 1 to this one. Groups share these rooms.
//	             Default: one for every ten connections
//	rate         messages, frames or handshakes per second, of the whole group; default: none
//	text         of chat: bytes of a message's text; default 44
//	lifetime     churn: how long a connection stays on average before it is closed in order; it comes back at once
//	storm        how often all connections are cut at once, without a word; they come back at once
//	read         slow readers: bytes per second that each connection reads; default: all there is
//	vanish       half-open peers: when, after all are connected, they stop to read and to answer without a word
//
// # What is checked
//
// Every message is acknowledged once. Every member of a room gets each of its messages once and in the order of their
// sequence numbers, from where it joined to the last that is known. A gap is what was lost. Who is subscribed to the market
// gets batches that continue each other. A connection that ends unexpectedly is counted and comes back after a wait that
// doubles, with jitter. It joins with the last sequence number it knows, so that what was said meanwhile has to come as
// history, and sends again, with the same id, what was not acknowledged. Who is not let into its room again, or refused the
// history, goes on asking after such waits, and each refusal is counted as one of a request, not of a message. Who
// gets no answer at all tries another connection. With Config.Verify the history of each room is read in the end: what was
// acknowledged has to be there once.
//
// What has to be refused is: it is counted under Result.Expected. A group that reads slowly or vanishes may miss
// messages and may be disconnected, which is counted there, too.
//
// # Size
//
// A connection costs one goroutine and about 8 KiB. One source address has about 28,000 ports for one target (see
// net.ipv4.ip_local_port_range), so that 100,000 connections from one machine take four addresses or more; see
// Config.Sources. Each takes a file descriptor (ulimit -n).
//
// Package instrument/client is not what makes these connections: it is made for the few that a program keeps, with
// metrics, a queue and goroutines for each. What the load sees is in its result.
package load
