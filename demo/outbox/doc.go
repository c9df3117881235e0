// Package outbox holds the frames that wait to be written to one connection, whatever its transport.
//
// Putting a frame never waits for the peer, and what waits is bounded: a Policy says what happens when the peer reads
// too slowly. An Outbox in which nothing waits is a few words of memory without a goroutine, a channel or a buffer,
// because a server has one for each of many thousand connections of which most are silent most of the time. Its writer
// is started by the first frame and ends with the last.
//
// Each frame is observed from Put until it was written or dropped, by the connection's [instrument.Delivery].
package outbox
