// Package servers tries the handler of package ws with the WebSocket servers that people use. It is a module of its
// own, so that nothing else depends on them.
package servers
