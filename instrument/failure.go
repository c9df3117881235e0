package instrument

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"reflect"
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
		return errorType(err)
	}
	return "panic"
}

// sentinels are the errors that are known by their value, because their type tells nothing.
func sentinels() map[error]string {
	return map[error]string{
		context.Canceled:         "context.Canceled",
		context.DeadlineExceeded: "context.DeadlineExceeded",
		io.EOF:                   "io.EOF",
		io.ErrUnexpectedEOF:      "io.ErrUnexpectedEOF",
		io.ErrClosedPipe:         "io.ErrClosedPipe",
		net.ErrClosed:            "net.ErrClosed",
		os.ErrDeadlineExceeded:   "os.ErrDeadlineExceeded",
	}
}

// errorType returns the value of error.type for err. Errors that only add text are looked through; the first that does
// more names itself by a method ErrorType, is a sentinel of the standard library, or else is known by its type.
func errorType(err error) string {
	names := sentinels()
	for {
		if named, ok := err.(interface{ ErrorType() string }); ok {
			return bounded(named.ErrorType())
		}
		// By the value: a type that can be compared may hold one that can't, and panic as a key.
		if reflect.ValueOf(err).Comparable() && names[err] != "" {
			return names[err]
		}
		typeName := reflect.TypeOf(err).String()
		if !addsText(typeName) {
			return typeName
		}
		next := unwrap(err)
		if next == nil {
			return typeName
		}
		err = next
	}
}

// addsText reports the types of errors that say nothing beyond what they wrap.
func addsText(typeName string) bool {
	switch typeName {
	case "*fmt.wrapError", "*fmt.wrapErrors", "*errors.joinError":
		return true
	default:
		return false
	}
}

// unwrap returns the error that err wraps, the first of several.
func unwrap(err error) error {
	switch e := err.(type) { //nolint:errorlint // the chain is walked here
	case interface{ Unwrap() error }:
		return e.Unwrap()
	case interface{ Unwrap() []error }:
		if all := e.Unwrap(); len(all) > 0 {
			return all[0]
		}
	}
	return nil
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
