// Package esapi has the types that Jaeger names, for what never is called.
package esapi

import "io"

// Indices has the method that Jaeger uses.
type Indices struct {
	PutIndexTemplate func(name string, body io.Reader) (*Response, error)
}

// Response has the field that Jaeger reads.
type Response struct {
	StatusCode int
}
