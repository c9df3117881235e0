// Package frames follows the frames of a WebSocket connection, as RFC 6455 defines them, in the bytes that pass by.
//
// A [Follower] reads one direction of a connection. It does not hold back, copy or change the bytes, and of payloads it
// keeps only what tells control frames apart, so it costs the same for small and large messages.
package frames
