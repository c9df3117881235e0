package instrument

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/sockscope/sockscope/instrument/internal/errs"
)

// An ErrorClassifier says what a message's error counts as, and false if it counts as none. The context is the one that
// the message was begun with.
type ErrorClassifier func(ctx context.Context, err error) (kind ErrorKind, failed bool)

// classifyError is the default ErrorClassifier. A handler that gives up because its context was cancelled has not failed:
// the peer has left, or the server stops.
func classifyError(ctx context.Context, err error) (ErrorKind, bool) {
	return ErrorHandler, !errors.Is(err, context.Canceled) || ctx.Err() == nil
}

// classify asks the classifier. An error by which a handler reports that its connection has ended is none of the
// message's.
func (m *Message) classify(err error) (ErrorKind, bool) {
	if err == nil {
		return 0, false
	}
	if m.conn.closed.Load() && errors.Is(err, context.Canceled) {
		return 0, false
	}
	return m.conn.observer.classifier(m.ctx, err)
}

// A panicError is what a panic was given, unless that is an error itself.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// ErrorType is that of the error that panic was called with, or else panic.
func (e *panicError) ErrorType() string {
	if err, ok := e.value.(error); ok {
		return errs.Type(err)
	}
	return "panic"
}

var errGoexit = errors.New("the handler ended its goroutine")

// isAbort reports the value by which a handler of net/http gives up on purpose.
func isAbort(v any) bool {
	err, ok := v.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}

// Panicked notes that the handler of the connection panics with v: an error of the kind panic and the log record
// `connection error`, unless Handle has counted the same panic already. It returns the cause to close the connection
// with: local and internal, or nil if v is http.ErrAbortHandler, by which a handler gives up on purpose. The panic is
// left to the caller, who should let it go on.
func (c *Conn) Panicked(ctx context.Context, v any) *Cause {
	if isAbort(v) {
		return nil
	}
	err := &panicError{v}
	if c.live() && !c.unwinding.Swap(true) {
		c.Failed(ctx, ErrorPanic, err)
	}
	return &Cause{Initiator: InitiatorLocal, Reason: ReasonInternal, Err: err}
}
