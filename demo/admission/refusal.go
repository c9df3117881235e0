package admission

import (
	"errors"
	"net/http"

	"github.com/sockscope/sockscope/instrument"
)

// RetryAfter is the number of seconds after which a refused client may try again, as HTTP's header of that name says
// it.
const RetryAfter = "5"

// A Refusal is why a request is turned away.
type Refusal struct {
	Reason error
	Status instrument.Status // of a handshake
	Code   int               // of HTTP
}

// Refuse returns a refusal.
func Refuse(status instrument.Status, code int, reason string) *Refusal {
	return &Refusal{errors.New(reason), status, code}
}

// Answer answers the request of a handshake, and ends its observation.
func (e *Refusal) Answer(w http.ResponseWriter, h *instrument.Handshake) {
	if e.Code == http.StatusServiceUnavailable || e.Code == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", RetryAfter)
	}
	if e.Code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	http.Error(w, e.Reason.Error(), e.Code)
	h.Refused(e.Status, e.Code, e.Reason)
}
