// Package handshake is what adapters over net/http have in common while a request is answered.
package handshake

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sockscope/sockscope/instrument"
)

// Begin continues the handshake that the request's context carries, or begins one. The returned context carries its span.
func Begin(o *instrument.Observer, r *http.Request) (context.Context, *instrument.Handshake) {
	ctx := r.Context()
	if h := o.HandshakeFromContext(ctx); h != nil {
		return ctx, h
	}
	return o.BeginHandshake(ctx, instrument.HTTPRequest(r))
}

// Panicked ends the handshake of a function that has recovered v from a panic, and panics again. Without a panic it does
// nothing.
func Panicked(h *instrument.Handshake, v any) {
	if v == nil {
		return
	}
	h.Refused(instrument.StatusError, 0, fmt.Errorf("panic: %v", v))
	panic(v) //nolint:forbidigo // the panic goes on as if nobody had looked
}

// Status returns the status of a handshake that was refused with an HTTP status.
func Status(o *instrument.Observer, code int) instrument.Status {
	switch {
	case code == http.StatusUnauthorized:
		return instrument.StatusUnauthorized
	case code == http.StatusForbidden:
		return instrument.StatusForbidden
	case code == http.StatusTooManyRequests:
		return instrument.StatusRateLimited
	case code == http.StatusServiceUnavailable && o.Draining():
		return instrument.StatusDraining
	case code == http.StatusServiceUnavailable:
		return instrument.StatusOverCapacity
	case code < http.StatusInternalServerError, code == http.StatusHTTPVersionNotSupported:
		return instrument.StatusBadHandshake
	default:
		return instrument.StatusError
	}
}
