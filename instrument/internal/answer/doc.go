// Package answer finds out the answer to an HTTP request, given by its ResponseWriter, or by bytes on the connection
// that was hijacked from it.
package answer
