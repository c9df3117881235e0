package auth

import "fmt"

// Code tells a program why somebody was refused.
type Code string

// The codes of refusals.
const (
	CodeMissing        Code = "missing"         // no token
	CodeInURL          Code = "in_url"          // a token where it would be logged
	CodeTooLong        Code = "too_long"        // more than wire.MaxTokenBytes
	CodeMalformed      Code = "malformed"       // no JSON Web Token
	CodeWrongAlgorithm Code = "wrong_algorithm" // not HS256
	CodeBadSignature   Code = "bad_signature"   // by no key that is known
	CodeWrongAudience  Code = "wrong_audience"  // for another service
	CodeBadClaims      Code = "bad_claims"      // a claim is missing or not as it has to be
	CodeExpired        Code = "expired"
	CodeNotYetValid    Code = "not_yet_valid"
	CodeBadOrigin      Code = "bad_origin" // a page that may not connect
)

// Error is why somebody was refused: a code for programs and a reason for people. It holds nothing of what was sent, so
// it can be answered and logged.
type Error struct {
	Code   Code
	Reason string
}

// Error returns the code and the reason.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Reason }

func refusal(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Reason: fmt.Sprintf(format, args...)}
}
