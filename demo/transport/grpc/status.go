package grpc

import (
	"errors"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sockscope/sockscope/demo/admission"
	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// retryDelay is when a client may try again that came too often, or for which there is no place.
const retryDelay = 5 * time.Second

// failure returns a status with details: an ErrorInfo whose reason is for programs, and more.
func failure(code codes.Code, reason, text string, more ...protoadapt.MessageV1) error {
	info := &errdetails.ErrorInfo{Reason: strings.ToUpper(reason), Domain: auth.Audience}
	st, err := status.New(code, text).WithDetails(append([]protoadapt.MessageV1{info}, more...)...)
	if err != nil { // the details can't be encoded
		return status.Error(code, text)
	}
	return st.Err()
}

func retry() *errdetails.RetryInfo {
	return &errdetails.RetryInfo{RetryDelay: durationpb.New(retryDelay)}
}

// turnedAway returns the status for a refusal at the gate.
func turnedAway(r *admission.Refusal) error {
	reason, text := r.Status.String(), r.Reason.Error()
	switch r.Status {
	case instrument.StatusUnauthorized:
		return failure(codes.Unauthenticated, reason, text)
	case instrument.StatusForbidden:
		return failure(codes.PermissionDenied, reason, text)
	case instrument.StatusRateLimited:
		return failure(codes.ResourceExhausted, reason, text, retry())
	case instrument.StatusOverCapacity, instrument.StatusDraining:
		return failure(codes.Unavailable, reason, text, retry())
	default:
		return failure(codes.Internal, reason, text)
	}
}

// refused returns the status for a request that the service refuses.
func refused(err error) error {
	var r *wire.RefusalError
	if !errors.As(err, &r) {
		return failure(codes.Internal, "internal", "the server has failed")
	}
	reason := string(r.Code)
	switch r.Code {
	case wire.CodeForbidden:
		return failure(codes.PermissionDenied, reason, r.Reason)
	case wire.CodeRateLimited, wire.CodeServerFull:
		return failure(codes.ResourceExhausted, reason, r.Reason, retry())
	case wire.CodeUnavailable:
		return failure(codes.Unavailable, reason, r.Reason, retry())
	default: // the others are refused before, see invalid, or on connections only
		return failure(codes.InvalidArgument, reason, r.Reason)
	}
}

// invalid returns the status for a request with the fields that the checks find at fault, nil if they find none.
func invalid(checks ...violation) error {
	bad := new(errdetails.BadRequest)
	for _, v := range checks {
		if v.err == nil {
			continue
		}
		text := v.err.Error()
		if r := new(wire.RefusalError); errors.As(v.err, &r) {
			text = r.Reason
		}
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: v.field, Description: text})
	}
	if len(bad.FieldViolations) == 0 {
		return nil
	}
	first := bad.FieldViolations[0]
	return failure(codes.InvalidArgument, string(wire.CodeBadPayload), first.Field+": "+first.Description, bad)
}

// violation is what is wrong with a field.
type violation struct {
	field string
	err   error // nil if nothing is
}

// ended returns the status of a stream that its session closes.
func ended(reason instrument.CloseReason, text string) error {
	switch reason {
	case instrument.ReasonShutdown:
		return failure(codes.Unavailable, reason.String(), text, &errdetails.RetryInfo{RetryDelay: durationpb.New(0)})
	case instrument.ReasonTokenExpired:
		return failure(codes.Unauthenticated, reason.String(), text)
	case instrument.ReasonIdleTimeout:
		return failure(codes.Aborted, reason.String(), text)
	default: // the client is at fault: it is too slow, or sends too much
		return failure(codes.ResourceExhausted, reason.String(), text, retry())
	}
}
