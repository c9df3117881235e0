package ws

import (
	"errors"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/handshake"
)

// A refusal is how a handshake ends that does not become a connection.
type refusal struct {
	status     instrument.Status
	httpStatus int // 0 if there was no answer
	err        error
}

func (r refusal) end(h *instrument.Handshake) { h.Refused(r.status, r.httpStatus, r.err) }

var (
	errGone       = errors.New("the peer was gone before it was answered")
	errUnanswered = errors.New("the connection was closed without an answer")
	errNoAnswer   = errors.New("the connection was taken over, and what was written on it is no answer")
	errEarly      = errors.New("the peer sent data before it was answered")
)

// refusalFor classifies an answer, 0 for bytes that are none. One by which a server ignores the wish for a WebSocket, such
// as 200, is a bad handshake.
func refusalFor(o *instrument.Observer, httpStatus int) refusal {
	if httpStatus == 0 {
		return refusal{status: instrument.StatusError, err: errNoAnswer}
	}
	return refusal{status: handshake.Status(o, httpStatus), httpStatus: httpStatus}
}
