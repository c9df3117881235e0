package client

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"
)

// Errors of a Client.
var (
	// ErrNotConnected is returned by Send while there is no connection. To send messages after each connect, use
	// Feed.Subscribe.
	ErrNotConnected = errors.New("client: not connected")
	// ErrRunning is returned by Run if it is running already.
	ErrRunning = errors.New("client: Run is running already, and one call serves the whole client")
	// ErrGaveUp is wrapped by the error of Run when all attempts that WithMaxAttempts allows have failed.
	ErrGaveUp = errors.New("client: no stable connection after the allowed number of attempts")
	// ErrUnknownStream is wrapped by the error of Reconcile for a stream that is not registered or has no Restore.
	ErrUnknownStream = errors.New("client: no such stream with Restore in Feed.Streams")
)

var (
	errStale       = errors.New("stream is stale: nothing new for longer than expected")
	errPingTimeout = errors.New("ping was not answered in time")
	errBehind      = errors.New("snapshot does not reach the events that were received")
	errOverflow    = errors.New("more events than the buffer holds came before the snapshot")
	errSlow        = errors.New("handler is too slow: no room in its queue")
	errGap         = errors.New("gap in the sequence")
	errRestart     = errors.New("the server has begun anew: other numbers, or a snapshot by itself")
	errTooOld      = errors.New("nothing but old numbers: they may have begun anew; Decode can tell by Event.Restart")
	errInvalid     = errors.New("sequence numbers are invalid: Decode must make others of them, see Sequence.Observe")

	errNotUnderstood = errors.New("no message is understood: check what Decode returns errors for")
	errNoSnapshot    = errors.New("no snapshot has come among the events in time")
	errReplaced      = errors.New("needs a snapshot, which only another connection brings because Stream.Resubscribe is nil")
	errReconnect     = errors.New("the application asked for another connection")
	errSilent        = errors.New("nothing at all was received for too long")
)

// A RefusedError is a server's answer that refuses the connection.
type RefusedError struct {
	// StatusCode is the code of the HTTP response.
	StatusCode int
	// RetryAfter is how long the server asks clients to wait before they try again, at most 10 minutes. It is 0 if the
	// server does not say.
	RetryAfter time.Duration
}

// Error returns the server's answer and where to look for the cause.
func (e *RefusedError) Error() string {
	text := fmt.Sprintf("server refused the connection with %d %s", e.StatusCode, http.StatusText(e.StatusCode))
	switch e.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		text += ": check the credentials that WithEndpoint returns"
	case http.StatusNotFound:
		text += ": check the URL"
	}
	if e.RetryAfter > 0 {
		text += fmt.Sprintf(" (retry after %v)", e.RetryAfter)
	}
	return text
}

// Permanent wraps an error that another attempt can't cure, such as revoked credentials. If the function of
// WithEndpoint, or Feed.Subscribe, returns such an error, Run ends with it. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// A PanicError is a panic that was recovered from a function of the application.
type PanicError struct {
	// Value is the argument of panic.
	Value any
	// Stack is the stack of the goroutine.
	Stack []byte
}

// Error returns the value of the panic as text.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// guarded calls a function of the application and turns a panic into an error.
func guarded(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f()
}
