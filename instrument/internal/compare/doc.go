// Package compare measures what one received message costs with this project and with what people use today. It is a
// module of its own, so that nothing else depends on what it compares with.
package compare
