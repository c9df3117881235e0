package wsconn

import (
	"fmt"
	"net/http"

	"github.com/sockscope/sockscope/instrument"
)

// Handshake continues the handshake that the request's context carries, or begins one.
func Handshake(o *instrument.Observer, r *http.Request) *instrument.Handshake {
	if h := o.HandshakeFromContext(r.Context()); h != nil {
		return h
	}
	_, h := o.BeginHandshake(r.Context(), instrument.HTTPRequest(r))
	return h
}

// RefusePanicked ends the handshake of a function that has recovered v from a panic, and panics again. Without a panic it
// does nothing.
func RefusePanicked(h *instrument.Handshake, v any) {
	if v == nil {
		return
	}
	h.Refused(instrument.StatusError, 0, fmt.Errorf("panic: %v", v))
	panic(v) //nolint:forbidigo // the panic goes on as if nobody had looked
}

// RefusalStatus returns the status of a handshake that was refused with an HTTP status.
func RefusalStatus(o *instrument.Observer, code int) instrument.Status {
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
