// Package frames follows the frames of a WebSocket connection, as RFC 6455 defines them, in the bytes that pass by.
//
// A [Follower] reads one direction of a connection. It does not hold back, copy or change the bytes. Of payloads it
// keeps only what distinguishes control frames, so small and large messages cost the same.
package frames
