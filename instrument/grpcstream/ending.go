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
	unwound     // by a panic that is counted
	oversized   // by the server's status, because the client has sent a message above the server's limit
	undecodable // by the server's status, because the client has sent a message that can't be decoded
)

// errPanic stands for the handler's panic, whose value only the runtime sees.
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
	case r.guard.panics:
		e.how = unwound
	case !sent && !interrupted && err == nil: // the status was not sent, although nothing prevented it
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

// tooBig reports whether a message was above grpc.MaxRecvMsgSize, and not another resource exhausted. Only gRPC's text
// says so.
func tooBig(err error) bool {
	text := err.Error()
	return strings.Contains(text, "received message larger than max") ||
		strings.Contains(text, "message after decompression larger than max")
}

// unreadable reports whether gRPC could not decode a message, which is not a failure of the handler. Only gRPC's text
// says so.
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

// belowHTTP reports whether net/http serves the RPC.
func belowHTTP(ctx context.Context) bool { return ctx.Value(http.ServerContextKey) != nil }

// connectionEnded reports whether an interrupted RPC was interrupted by the end of its connection, not by its client.
// The context is cancelled in both cases, and gRPC reports the end of a connection only afterwards. But gRPC refuses to
// set a header with a different error in each case. No header is sent.
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

// errorKind returns the kind of error that the ending is, if it is an error.
func (e ending) errorKind() (instrument.ErrorKind, bool) {
	switch e.how {
	case answered:
	case panicked:
		return instrument.ErrorPanic, true
	case oversized:
		return instrument.ErrorRead, true
	case undecodable:
		return instrument.ErrorDecode, true
	case left, lost, unwound:
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

// refusal returns the status of the handshake of a stream that was never open, if it was refused.
func (e ending) refusal(draining bool) (instrument.Status, bool) {
	switch e.how {
	case answered:
	case oversized, undecodable:
		return instrument.StatusBadHandshake, true
	case left, lost, panicked, unwound:
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

// cause returns why an open stream has ended, unless it was lost.
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
	case panicked, unwound, lost:
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
	case codes.Canceled: // not by the client, which would not get a status
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
