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
	// ErrNotConnected is returned by Send while there is no connection. What has to be sent after each connect belongs
	// into Feed.Subscribe.
	ErrNotConnected = errors.New("client: not connected")
	// ErrRunning is returned by Run when it is running already.
	ErrRunning = errors.New("client: Run is running already, and one call serves the whole client")
	// ErrGaveUp is wrapped by the error that Run returns when it has tried as often as WithMaxAttempts allows.
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
	// RetryAfter is how long the server asks not to be tried again, at most 10 minutes; 0 if it does not say.
	RetryAfter time.Duration
}

// Error says what the server answered and what to look at.
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

// Permanent wraps an error that trying again cannot cure, such as credentials that were revoked. When the function
// given to WithEndpoint, or Feed.Subscribe, returns one, Run ends with it. Permanent(nil) is nil.
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
	// Value is what was given to panic.
	Value any
	// Stack is the stack of the goroutine.
	Stack []byte
}

// Error says what the function has panicked with.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// guarded calls a function of the application and makes an error of its panic.
func guarded(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f()
}
