package instrument

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/sockscope/sockscope/instrument/internal/errs"
)

// An ErrorClassifier returns the kind of error that a message's error counts as, or false if it does not count. The
// context is the one that was passed to BeginMessage.
type ErrorClassifier func(ctx context.Context, err error) (kind ErrorKind, failed bool)

// classifyError is the default ErrorClassifier. A handler that gives up because its context was cancelled has not
// failed: the peer has left, or the server stops.
func classifyError(ctx context.Context, err error) (ErrorKind, bool) {
	return ErrorHandler, !errors.Is(err, context.Canceled) || ctx.Err() == nil
}

// classify asks the classifier. An error that only reports the end of the connection is not an error of the message.
func (m *Message) classify(err error) (ErrorKind, bool) {
	if err == nil {
		return 0, false
	}
	if m.conn.closed.Load() && errors.Is(err, context.Canceled) {
		return 0, false
	}
	return m.conn.observer.classifier(m.ctx, err)
}

// A panicError wraps the value of a panic that is not an error itself.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// ErrorType returns the type of the error that panic was called with. It returns panic if that was not an error.
func (e *panicError) ErrorType() string {
	if err, ok := e.value.(error); ok {
		return errs.Type(err)
	}
	return "panic"
}

var errGoexit = errors.New("the handler ended its goroutine")

// isAbort reports whether v is the value with which a handler of net/http gives up on purpose.
func isAbort(v any) bool {
	err, ok := v.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}

// Panicked notes that the handler of the connection panics with v. It counts an error of the kind panic and writes the
// log record `connection error`, unless Handle has counted the same panic already. It returns the cause to close the
// connection with: local and internal. If v is http.ErrAbortHandler, with which a handler gives up on purpose, it
// returns nil. Panicked does not stop the panic, and callers should let it go on.
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
