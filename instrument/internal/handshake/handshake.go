// Package handshake has the functions that adapters over net/http share while a request is answered.
package handshake

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sockscope/sockscope/instrument"
)

// WebSocket is the protocol of the WebSocket adapters.
const WebSocket = "websocket"

// Begin continues the handshake that the request's context carries, or begins one for a connection of the protocol. The
// returned context carries its span.
func Begin(o *instrument.Observer, r *http.Request, protocol string) (context.Context, *instrument.Handshake) {
	o.ExpectProtocol(protocol)
	ctx := r.Context()
	if h := o.HandshakeFromContext(ctx); h != nil {
		return ctx, h
	}
	return o.BeginHandshake(ctx, instrument.HTTPRequest(r))
}

// Panicked ends the handshake of a function that has recovered v from a panic, and panics again. Without a panic it
// does nothing.
func Panicked(h *instrument.Handshake, v any) {
	if v == nil {
		return
	}
	Panic(v).End(h)
	panic(v) //nolint:forbidigo // the panic goes on as if nobody had looked
}

// A Refusal is the end of a handshake that does not become a connection.
type Refusal struct {
	status     instrument.Status
	httpStatus int // 0 if there was no answer
	err        error
}

// End ends the handshake.
func (r Refusal) End(h *instrument.Handshake) { h.Refused(r.status, r.httpStatus, r.err) }

// Answered is a refusal by an answer. An answer such as 200, which ignores the upgrade, is a bad handshake.
func Answered(o *instrument.Observer, httpStatus int, err error) Refusal {
	return Refusal{statusOf(o, httpStatus), httpStatus, err}
}

// Gone is a fault of the peer without an answer, such as that it is gone.
func Gone(err error) Refusal { return Refusal{status: instrument.StatusBadHandshake, err: err} }

// Failed is a fault of this side without an answer.
func Failed(err error) Refusal { return Refusal{status: instrument.StatusError, err: err} }

// Panic is a panic with v before the request was answered. net/http sends no header that was written before.
func Panic(v any) Refusal { return Failed(fmt.Errorf("panic: %v", v)) }

func statusOf(o *instrument.Observer, code int) instrument.Status {
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
