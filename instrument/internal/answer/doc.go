// Package answer finds out what an HTTP request is answered with: by its ResponseWriter, or by bytes on the connection
// that was hijacked from it.
package answer
