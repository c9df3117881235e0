// Package wsconn observes WebSocket connections by the frames in the bytes that pass by, so that all adapters report
// the same event in the same way.
//
// A [Conn] stands between a WebSocket library and the network. It does not hold back, copy or change the bytes. It
// notes what happens, and infers who ended the connection and why. An [Answer] stands between the library and net/http
// while a request is upgraded. Adapters add what bytes can't show: contexts, panics, and reasons of the application.
package wsconn
