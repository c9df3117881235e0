package grpcstream

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/sockscope/sockscope/instrument"
)

// ending is how an RPC has ended.
type ending struct {
	how  how
	code codes.Code
	err  error
	at   time.Time
}

type how uint8

const (
	answered how = iota // by the server's status
	left                // the client has cancelled it, or its deadline has passed
	lost                // its connection has ended
	panicked
	oversized   // by the server's status, because the client has sent a message that is larger than it takes
	undecodable // by the server's status, because the client has sent a message that can't be understood
)

// errPanic stands for the handler's panic, whose value nobody gets to see but the runtime.
var errPanic = errors.New("panic in the handler of an RPC")

// endingOf finds out how an RPC has ended.
func endingOf(ctx context.Context, r *rpc, end *stats.End) ending {
	sent, err := r.answered.Load(), end.Error
	if failed := r.guard.failure(); failed != nil && sent {
		err = failed
	}
	e := ending{how: answered, code: status.Code(err), err: err, at: end.EndTime}
	interrupted := !sent && ctx.Err() != nil
	switch {
	case !sent && !interrupted && err == nil: // nothing kept the status from being sent, and yet it was not
		e.how, e.err = panicked, errPanic
	case !sent && !interrupted && !belowHTTP(ctx): // gRPC writes nothing more, and is about to close the connection
		e.how = lost
	case interrupted && connectionEnded(ctx):
		e.how = lost
	case interrupted, r.guard.left(), errors.Is(ctx.Err(), context.DeadlineExceeded):
		e.how = left
	case e.code == codes.ResourceExhausted && tooBig(err):
		e.how = oversized
	case e.code == codes.Internal && unreadable(err):
		e.how = undecodable
	}
	return e
}

// tooBig tells a message above grpc.MaxRecvMsgSize from whatever else is exhausted. gRPC says so by nothing but the text.
func tooBig(err error) bool {
	text := err.Error()
	return strings.Contains(text, "received message larger than max") ||
		strings.Contains(text, "message after decompression larger than max")
}

// unreadable tells a message that gRPC could not decode from failures of the handler. Here, too, there is but the text.
func unreadable(err error) bool {
	text := err.Error()
	for _, said := range []string{
		"grpc: failed to unmarshal the received message", "grpc: error unmarshalling request",
		"grpc: failed to decompress the", "grpc: failed to read decompressed data",
	} {
		if strings.Contains(text, said) {
			return true
		}
	}
	return false
}

// belowHTTP tells RPCs that net/http serves.
func belowHTTP(ctx context.Context) bool { return ctx.Value(http.ServerContextKey) != nil }

// connectionEnded tells an RPC that was interrupted by the end of its connection from one that was by its client. Its
// context is cancelled in either case, and the end of a connection is told only afterwards; but a stream whose client has
// left refuses a header for that reason, and any other for another. None of them sends one.
func connectionEnded(ctx context.Context) bool {
	if grpc.ServerTransportStreamFromContext(ctx) == nil { // interrupted before the handler was called
		return false
	}
	if belowHTTP(ctx) { // below net/http the two are the same
		return false
	}
	switch status.Code(grpc.SendHeader(ctx, nil)) {
	case codes.Canceled, codes.DeadlineExceeded:
		return false
	default:
		return true
	}
}

// errorKind returns which error the ending is, if it is one.
func (e ending) errorKind() (instrument.ErrorKind, bool) {
	switch e.how {
	case answered:
	case panicked:
		return instrument.ErrorPanic, true
	case oversized:
		return instrument.ErrorRead, true
	case undecodable:
		return instrument.ErrorDecode, true
	case left, lost:
		return 0, false
	}
	switch e.code {
	case codes.Unknown, codes.Internal, codes.DataLoss:
		return instrument.ErrorHandler, true
	case codes.DeadlineExceeded:
		return instrument.ErrorTimeout, true
	case codes.Unauthenticated, codes.PermissionDenied:
		return instrument.ErrorAuth, true
	default:
		return 0, false
	}
}

// refusal returns the status of the handshake of a stream that has not been open, if it is a refusal.
func (e ending) refusal(draining bool) (instrument.Status, bool) {
	switch e.how {
	case answered:
	case oversized, undecodable:
		return instrument.StatusBadHandshake, true
	case left, lost, panicked:
		return 0, false
	}
	switch e.code {
	case codes.OK, codes.Canceled:
		return 0, false
	case codes.Unauthenticated:
		return instrument.StatusUnauthorized, true
	case codes.PermissionDenied:
		return instrument.StatusForbidden, true
	case codes.ResourceExhausted:
		return instrument.StatusRateLimited, true
	case codes.Unimplemented, codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition,
		codes.OutOfRange:
		return instrument.StatusBadHandshake, true
	case codes.Unavailable:
		if draining {
			return instrument.StatusDraining, true
		}
	}
	return instrument.StatusError, true
}

// cause returns why a stream that has been open has ended, unless it was lost.
func (e ending) cause(draining bool) instrument.Cause {
	c := instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: instrument.ReasonInternal, Code: int(e.code), Err: e.err}
	switch e.how {
	case answered:
		c.Reason = e.reason(draining)
	case left:
		c.Initiator, c.Reason = instrument.InitiatorRemote, instrument.ReasonGoingAway
	case oversized:
		c.Reason = instrument.ReasonMessageTooBig
	case undecodable:
		c.Reason = instrument.ReasonProtocolError
	case panicked, lost:
	}
	return c
}

// reason returns the reason that a status stands for.
func (e ending) reason(draining bool) instrument.CloseReason {
	switch e.code {
	case codes.OK:
		return instrument.ReasonNormal
	case codes.Unknown, codes.Internal, codes.DataLoss, codes.DeadlineExceeded:
		return instrument.ReasonInternal
	case codes.PermissionDenied, codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition,
		codes.OutOfRange:
		return instrument.ReasonPolicy
	case codes.Unauthenticated:
		return instrument.ReasonTokenExpired
	case codes.Unimplemented:
		return instrument.ReasonProtocolError
	case codes.Canceled: // not by the client, who would not get a status
		if draining {
			return instrument.ReasonShutdown
		}
		return instrument.ReasonGoingAway
	case codes.Unavailable:
		if draining {
			return instrument.ReasonShutdown
		}
		return instrument.ReasonTryAgainLater
	case codes.ResourceExhausted, codes.Aborted:
		return instrument.ReasonTryAgainLater
	default:
		return instrument.ReasonOther
	}
}
