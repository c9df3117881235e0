// Package wsconn observes WebSocket connections by the frames in the bytes that pass by, so that all adapters say the
// same of the same event.
//
// A [Conn] stands between a WebSocket library and the network. It does not hold back, copy or change the bytes; it
// notes what happens, and draws from it who ended the connection and why. An [Answer] stands between the library and
// net/http while a request is upgraded. Adapters add what bytes can't tell: contexts, panics, reasons of the application.
package wsconn
