// Package handshake is what adapters over net/http have in common while a request is answered.
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

// Panicked ends the handshake of a function that has recovered v from a panic, and panics again. Without a panic it does
// nothing.
func Panicked(h *instrument.Handshake, v any) {
	if v == nil {
		return
	}
	Panic(v).End(h)
	panic(v) //nolint:forbidigo // the panic goes on as if nobody had looked
}

// A Refusal is how a handshake ends that does not become a connection.
type Refusal struct {
	status     instrument.Status
	httpStatus int // 0 if there was no answer
	err        error
}

// End ends the handshake.
func (r Refusal) End(h *instrument.Handshake) { h.Refused(r.status, r.httpStatus, r.err) }

// Answered is a refusal by an answer. One by which a server ignores what the peer asks for, such as 200, is a bad
// handshake.
func Answered(o *instrument.Observer, httpStatus int, err error) Refusal {
	return Refusal{statusOf(o, httpStatus), httpStatus, err}
}

// Gone is the peer's fault, to which there was no answer, such as being gone before.
func Gone(err error) Refusal { return Refusal{status: instrument.StatusBadHandshake, err: err} }

// Failed is this side's fault, to which there was no answer.
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
