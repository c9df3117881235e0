package instrument

// The label values of the telemetry contract are typed and closed, so a value that a peer chose can't become a series.
// The zero value of every set but CloseReason means "not said". It is exported as `other` and counted in
// sockscope_label_overflow_total, because it can only come from a mistake in the instrumented program.

// other is the label value for everything outside of a closed set.
const other = "other"

// Status says how a handshake ended.
type Status uint8

// The ways in which a handshake ends.
const (
	// StatusConnected is a handshake that became a connection.
	StatusConnected Status = iota + 1
	// StatusUnauthorized is a peer whose identity could not be established.
	StatusUnauthorized
	// StatusForbidden is a known peer, or an origin, that may not connect.
	StatusForbidden
	// StatusRateLimited is a peer that connects too often.
	StatusRateLimited
	// StatusOverCapacity is a server that holds as many connections as it can.
	StatusOverCapacity
	// StatusBadHandshake is a malformed upgrade request.
	StatusBadHandshake
	// StatusDraining is a server that is shutting down gracefully.
	StatusDraining
	// StatusError is a failure on our side.
	StatusError
)

func statusNames() []string {
	return []string{
		other, "connected", "unauthorized", "forbidden", "rate_limited", "over_capacity", "bad_handshake", "draining", "error",
	}
}

// String returns the label value.
func (s Status) String() string { return nameIn(statusNames(), s) }

// Initiator says who ended a connection.
type Initiator uint8

// The initiators of a connection's end.
const (
	// InitiatorLocal is this process.
	InitiatorLocal Initiator = iota + 1
	// InitiatorRemote is the peer, by a close frame where the protocol has one.
	InitiatorRemote
	// InitiatorNetwork is neither: the connection broke, or stopped answering.
	InitiatorNetwork
)

func initiatorNames() []string {
	return []string{other, "local", "remote", "network"}
}

// String returns the label value.
func (i Initiator) String() string { return nameIn(initiatorNames(), i) }

// CloseReason says why a connection ended. Its zero value is ReasonOther.
type CloseReason uint8

// The reasons for which a connection ends.
const (
	// ReasonOther is everything that the other reasons do not cover, such as a close code that the peer invented.
	ReasonOther CloseReason = iota
	// ReasonNormal is a connection that has served its purpose (1000).
	ReasonNormal
	// ReasonGoingAway is a peer that leaves: a closed tab, a server that stops (1001).
	ReasonGoingAway
	// ReasonProtocolError is a violation of the protocol (1002, 1003, 1007, 1010).
	ReasonProtocolError
	// ReasonMessageTooBig is a message above the limit (1009).
	ReasonMessageTooBig
	// ReasonPolicy is a violation of the application's rules (1008).
	ReasonPolicy
	// ReasonInternal is a failure inside the server (1011, 1014).
	ReasonInternal
	// ReasonRestart is a server that restarts (1012).
	ReasonRestart
	// ReasonTryAgainLater is a server that is overloaded (1013).
	ReasonTryAgainLater
	// ReasonIdleTimeout is a connection on which nothing was received for too long.
	ReasonIdleTimeout
	// ReasonPingTimeout is a peer that did not answer a ping in time.
	ReasonPingTimeout
	// ReasonSlowConsumer is a peer that did not read as fast as it was sent to.
	ReasonSlowConsumer
	// ReasonWriteError is a message that could not be written.
	ReasonWriteError
	// ReasonAbnormal is a connection that ended without a close frame (1006).
	ReasonAbnormal
	// ReasonTokenExpired is a peer whose credentials have run out.
	ReasonTokenExpired
	// ReasonShutdown is a server that drains its connections before it stops.
	ReasonShutdown
)

func reasonNames() []string {
	return []string{
		other, "normal", "going_away", "protocol_error", "message_too_big", "policy", "internal", "restart", "try_again_later",
		"idle_timeout", "ping_timeout", "slow_consumer", "write_error", "abnormal", "token_expired", "shutdown",
	}
}

// String returns the label value.
func (r CloseReason) String() string { return nameIn(reasonNames(), r) }

// IsFailure reports whether the connection broke instead of ending normally. Rules and dashboards count connections
// with such a reason as broken. A code that the peer invented is not a failure.
func (r CloseReason) IsFailure() bool {
	switch r {
	case ReasonOther, ReasonNormal, ReasonGoingAway, ReasonRestart, ReasonIdleTimeout, ReasonTokenExpired, ReasonShutdown:
		return false
	default:
		return true
	}
}

// IsFailure reports whether the connection broke instead of ending normally. The initiator matters for ReasonAbnormal
// only: this process may cut a connection without a close frame, such as when a handler returns, and then nothing
// broke.
func (c Cause) IsFailure() bool {
	return c.Reason.IsFailure() && (c.Reason != ReasonAbnormal || c.Initiator != InitiatorLocal)
}

// ReasonForCode returns the reason that a close code of RFC 6455 stands for. It returns ReasonOther for codes from 3000
// to 4999, which libraries and applications define themselves.
func ReasonForCode(code int) CloseReason {
	switch code {
	case 1000, 1005: // 1005: a close frame without a code
		return ReasonNormal
	case 1001:
		return ReasonGoingAway
	case 1002, 1003, 1007, 1010:
		return ReasonProtocolError
	case 1006:
		return ReasonAbnormal
	case 1008:
		return ReasonPolicy
	case 1009:
		return ReasonMessageTooBig
	case 1011, 1014:
		return ReasonInternal
	case 1012:
		return ReasonRestart
	case 1013:
		return ReasonTryAgainLater
	default:
		return ReasonOther
	}
}

// DropReason says why an outbound message was not written.
type DropReason uint8

// The reasons for which an outbound message is dropped.
const (
	// DropQueueFull is a send queue without room.
	DropQueueFull DropReason = iota + 1
	// DropSlowConsumer is a message left in the queue of a connection that was closed for being too slow.
	DropSlowConsumer
	// DropClosed is a message for a connection that had already ended. It does not count as undelivered.
	DropClosed
	// DropExpired is a message that was too old to be worth sending.
	DropExpired
	// DropRateLimited is a message above the rate that the application allows.
	DropRateLimited
	// DropSuperseded is a message whose place a newer one has taken, such as an older state of what the newer one tells
	// of. Its reader misses nothing, so it does not count as undelivered.
	DropSuperseded
)

func dropNames() []string {
	return []string{other, "queue_full", "slow_consumer", "closed", "expired", "rate_limited", "superseded"}
}

// String returns the label value.
func (r DropReason) String() string { return nameIn(dropNames(), r) }

// ErrorKind says what failed.
type ErrorKind uint8

// The kinds of errors.
const (
	// ErrorHandshake is an upgrade that failed.
	ErrorHandshake ErrorKind = iota + 1
	// ErrorAuth is a peer that could not be authenticated or authorized.
	ErrorAuth
	// ErrorRead is a failed read.
	ErrorRead
	// ErrorWrite is a failed write.
	ErrorWrite
	// ErrorDecode is a message that could not be understood.
	ErrorDecode
	// ErrorHandler is a message whose handling failed.
	ErrorHandler
	// ErrorTimeout is something that took too long.
	ErrorTimeout
	// ErrorBackplane is a failure between the nodes of one service.
	ErrorBackplane
	// ErrorPanic is a handler that panics.
	ErrorPanic
)

func errorNames() []string {
	return []string{
		other, "handshake", "auth", "read", "write", "decode", "handler", "timeout", "backplane", "panic",
	}
}

// String returns the label value.
func (k ErrorKind) String() string { return nameIn(errorNames(), k) }

// PingResult says what became of a ping.
type PingResult uint8

// The results of a ping.
const (
	// PingPong is a ping that was answered.
	PingPong PingResult = iota + 1
	// PingTimeout is a ping that was not answered in time.
	PingTimeout
	// PingError is a ping that could not be sent, or whose connection ended meanwhile.
	PingError
)

func pingNames() []string {
	return []string{other, "pong", "timeout", "error"}
}

// String returns the label value.
func (r PingResult) String() string { return nameIn(pingNames(), r) }

// direction is the way of a message, named as OpenTelemetry's network.io.direction.
type direction uint8

const (
	receive direction = iota
	transmit
)

func (d direction) String() string {
	if d == receive {
		return "receive"
	}
	return "transmit"
}

// nameIn returns the label value of v in the closed set that names lists.
func nameIn[T ~uint8](names []string, v T) string {
	if int(v) >= len(names) {
		return other
	}
	return names[v]
}
