package wsconn

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync/atomic"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/frames"
)

// Codes of close frames that the adapters send or note themselves.
const (
	codeProtocolError = 1002
	codeAbnormal      = 1006 // there was no close frame
	codeInternal      = 1011
)

// evidence holds the possible causes of the connection's end, in case nobody states the cause.
type evidence struct {
	violation    atomic.Pointer[error]            // of the protocol by the peer, the first that is not known to be tolerated
	tolerated    atomic.Pointer[error]            // a violation
	peerCloses   atomic.Bool                      // a close frame has begun to come in
	peerClosed   atomic.Pointer[instrument.Cause] // by a close frame behind a violation
	pingTimeout  atomic.Pointer[error]            // of the last ping, nil if it was answered
	readTimeout  atomic.Pointer[error]            // of the last read, nil if it succeeded
	lifetime     atomic.Bool                      // the connection's time is up
	writeCounted atomic.Bool                      // that a write has failed
	givenUp      atomic.Pointer[error]            // a write that has succeeded after its time was up
	cancelled    atomic.Bool                      // by this side
	aborted      atomic.Bool                      // by http.ErrAbortHandler
	judged       atomic.Bool                      // the application closes, for what it has found itself
}

// say states why the connection ends. The first statement counts, but a close frame that is being written comes before
// it.
func (c *Conn) say(cause instrument.Cause) {
	if announced := c.announced.Load(); announced != nil {
		cause = *announced
	}
	c.ending.CompareAndSwap(nil, &cause)
}

// Say states the reason for which this side closes the connection, before the close frame is written.
func (c *Conn) Say(reason instrument.CloseReason, code int) { c.say(local(reason, code)) }

// Cut notes that this side closes the connection without a close frame.
func (c *Conn) Cut() { c.say(c.cutCause()) }

// Judged notes that the application closes the connection, perhaps because of the content of messages. That does not
// count as an error of reading, unless the peer has violated the protocol or the library has closed the connection
// before.
func (c *Conn) Judged() {
	if !c.Known() {
		c.evidence.judged.Store(true)
	}
}

// Violated notes that the peer has violated the protocol.
func (c *Conn) Violated(err error) { c.evidence.violation.CompareAndSwap(nil, &err) }

// PingTimedOut notes that a ping was not answered in time.
func (c *Conn) PingTimedOut(err error) { c.evidence.pingTimeout.Store(&err) }

// PingAnswered revokes PingTimedOut.
func (c *Conn) PingAnswered() {
	if c.evidence.pingTimeout.Load() != nil {
		c.evidence.pingTimeout.Store(nil)
	}
}

// ReadTimedOut notes that nothing was received in time.
func (c *Conn) ReadTimedOut(err error) {
	c.evidence.readTimeout.Store(&err)
	c.heeds.Store(true)
}

// LifetimeOver notes that the connection has lasted as long as this side lets it.
func (c *Conn) LifetimeOver() { c.evidence.lifetime.Store(true) }

// Cancelled notes that this side has cancelled the work on the connection, such as when the server stops.
func (c *Conn) Cancelled() { c.evidence.cancelled.Store(true) }

// WriteFailed notes a write that has failed before it reached the Conn.
func (c *Conn) WriteFailed(err error) {
	if c.ending.Load() != nil || c.announced.Load() != nil {
		return
	}
	if c.failing.Swap(&err) == nil {
		c.evidence.writeCounted.Store(true)
		c.failed(instrument.ErrorWrite, err)
	}
}

// WriteGivenUp notes a write that succeeded after its deadline, so the library may close the connection.
func (c *Conn) WriteGivenUp(err error) { c.evidence.givenUp.Store(&err) }

// failed counts an error. The connection knows no contexts.
func (c *Conn) failed(kind instrument.ErrorKind, err error) {
	c.config.Observed.Failed(context.Background(), kind, err)
}

// readFailed notes the cause that the error of a read shows. A deadline that has passed is the cause only if the
// connection ends before the next successful read.
func (c *Conn) readFailed(err error) {
	switch {
	case isDeadline(err):
		if c.readDeadline.wakes() {
			return
		}
		c.ReadTimedOut(err)
		c.evidence.lifetime.Store(c.readDeadline.isLifetime())
	case isClosed(err): // by this side
	default:
		c.say(c.suspected(instrument.Cause{
			Initiator: instrument.InitiatorNetwork, Reason: instrument.ReasonAbnormal, Code: codeAbnormal, Err: eof(err),
		}))
	}
}

// eof returns an error that names the end of a stream in the middle of a connection.
func eof(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// writeFailed notes the write as a possible cause, unless the connection had ended before or somebody has given up the
// write.
func (c *Conn) writeFailed(err error) {
	if isClosed(err) || isDeadline(err) && c.writeWoken.Load() {
		return
	}
	c.WriteFailed(err)
}

// peerClosed notes that a close frame was received. An invalid close frame is a protocol error.
func (c *Conn) peerClosed() {
	code, err := c.in.CloseCode()
	if err != nil {
		cause := local(instrument.ReasonProtocolError, codeProtocolError)
		cause.Err = err
		c.say(cause)
		return
	}
	cause := instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonForCode(code), Code: code}
	if c.in.Violation() == nil {
		c.say(cause)
		return
	}
	c.evidence.peerClosed.Store(&cause) // the library's next frame shows whether it has tolerated the violation
}

// ownCause returns the cause of a close frame that this side sends: the event that made it necessary, or else the
// meaning of its code.
func (c *Conn) ownCause(f *frames.Follower) instrument.Cause {
	code, _ := f.CloseCode()
	cause := local(instrument.ReasonForCode(code), code)
	closed := c.evidence.peerClosed.Load()
	if closed != nil && cause.Reason != instrument.ReasonProtocolError {
		return *closed // and this is the answer
	}
	switch cause.Reason {
	case instrument.ReasonProtocolError:
		cause.Err = cmp.Or(c.violation(), load(&c.evidence.tolerated))
	case instrument.ReasonNormal, instrument.ReasonGoingAway:
		cause = c.timedOut(cause) // other codes say more than a deadline
	}
	return c.suspected(cause)
}

// cutCause returns the cause of an end without a close frame.
func (c *Conn) cutCause() instrument.Cause {
	if err := c.violation(); err != nil {
		cause := local(instrument.ReasonProtocolError, codeAbnormal)
		cause.Err = err
		return cause
	}
	if c.evidence.peerCloses.Load() { // and nobody has read why
		return instrument.Cause{Initiator: instrument.InitiatorRemote, Code: frames.NoStatus}
	}
	return c.suspected(c.timedOut(local(c.cutReason(), codeAbnormal)))
}

// cutReason returns the reason of a cut without any other cause. A handler that returns is done.
func (c *Conn) cutReason() instrument.CloseReason {
	switch {
	case c.evidence.lifetime.Load():
		return instrument.ReasonNormal
	case c.evidence.cancelled.Load(), c.config.Observed.Observer().Draining():
		return instrument.ReasonShutdown
	case c.evidence.aborted.Load():
		return instrument.ReasonAbnormal
	default:
		return instrument.ReasonNormal
	}
}

// violation returns how the peer has violated the protocol. It returns nil if the peer has not, or if the library has
// tolerated it.
func (c *Conn) violation() error { return load(&c.evidence.violation) }

// timedOut returns the cause, with the reason of a read deadline if that has passed.
func (c *Conn) timedOut(cause instrument.Cause) instrument.Cause {
	if err := load(&c.evidence.readTimeout); err != nil && !c.evidence.lifetime.Load() {
		cause.Reason, cause.Err = instrument.ReasonIdleTimeout, err
	}
	return cause
}

// suspected returns the cause, or a better one if there was an unanswered ping or a failed write before.
func (c *Conn) suspected(cause instrument.Cause) instrument.Cause {
	unanswered := load(&c.evidence.pingTimeout)
	if silent := load(&c.evidence.readTimeout); unanswered == nil && silent != nil && c.pings.waiting() {
		unanswered = silent
	}
	reason, err := instrument.ReasonPingTimeout, unanswered
	if err == nil {
		reason, err = instrument.ReasonWriteError, cmp.Or(load(&c.failing), load(&c.evidence.givenUp))
	}
	if err != nil {
		cause.Initiator, cause.Reason, cause.Err = instrument.InitiatorNetwork, reason, err
	}
	return cause
}

func load(p *atomic.Pointer[error]) error {
	if err := p.Load(); err != nil {
		return *err
	}
	return nil
}

// Panicked notes that the handler panics with v. It sends the close code 1011, which takes at most a second, unless v
// is http.ErrAbortHandler, with which a handler gives up on purpose. The caller then closes the connection.
func (c *Conn) Panicked(v any) {
	cause := c.config.Observed.Panicked(context.Background(), v)
	if cause == nil {
		c.evidence.aborted.Store(true)
		return
	}
	cause.Code = codeInternal
	c.say(*cause)
	_ = c.SendClose(codeInternal, "") // there is nobody to tell that it failed
}

// Known reports whether the cause of the connection's end is known.
func (c *Conn) Known() bool { return c.ending.Load() != nil }

// End ends the observation, with the first stated cause, or the cause that the evidence shows. Later calls do nothing.
func (c *Conn) End() {
	if !c.begun {
		return
	}
	c.say(c.cutCause())
	if !c.ended.CompareAndSwap(false, true) {
		return
	}
	cause := *c.ending.Load()
	if cause.Initiator != instrument.InitiatorRemote && !c.closeSent.Load() {
		cause.Code = codeAbnormal
	}
	unanswered := instrument.PingError
	if cause.Reason == instrument.ReasonPingTimeout {
		unanswered = instrument.PingTimeout
	}
	c.pings.end(unanswered)
	if kind, ok := c.errorKind(cause); ok && (kind != instrument.ErrorRead || !c.evidence.judged.Load() || c.violation() != nil) {
		c.failed(kind, cause.Err)
	}
	c.config.Observed.Closed(cause)
}

// errorKind returns the kind of error that the end of a connection is. A failed write or a panic was counted when it
// happened.
func (c *Conn) errorKind(cause instrument.Cause) (instrument.ErrorKind, bool) {
	type end struct {
		instrument.Initiator
		instrument.CloseReason
	}
	switch (end{cause.Initiator, cause.Reason}) {
	case end{instrument.InitiatorNetwork, instrument.ReasonPingTimeout},
		end{instrument.InitiatorLocal, instrument.ReasonPingTimeout}:
		return instrument.ErrorTimeout, true
	case end{instrument.InitiatorNetwork, instrument.ReasonAbnormal},
		end{instrument.InitiatorLocal, instrument.ReasonProtocolError},
		end{instrument.InitiatorLocal, instrument.ReasonMessageTooBig}:
		return instrument.ErrorRead, true
	case end{instrument.InitiatorNetwork, instrument.ReasonWriteError}:
		return instrument.ErrorWrite, !c.evidence.writeCounted.Load() // but only given up
	}
	return 0, false
}

func local(reason instrument.CloseReason, code int) instrument.Cause {
	return instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: reason, Code: code}
}
