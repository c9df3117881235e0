package gobwas

import (
	"context"
	"errors"
	"net"
	"os"

	"github.com/gobwas/ws"

	"github.com/sockscope/sockscope/instrument"
)

// say tells why the connection ends. The first to know is believed.
func (c *Conn) say(cause instrument.Cause) { c.ending.CompareAndSwap(nil, &cause) }

// readFailed draws what can be drawn from the error of a read. A deadline that has passed is the reason for the end only
// if the end comes before the next successful read.
func (c *Conn) readFailed(err error) {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		if !c.readWoken.Load() {
			c.readTimeout.Store(&err)
		}
	case errors.Is(err, net.ErrClosed):
		// By this side: Close says why.
	default:
		c.say(c.suspected(instrument.Cause{
			Initiator: instrument.InitiatorNetwork,
			Reason:    instrument.ReasonAbnormal,
			Code:      int(ws.StatusAbnormalClosure),
			Err:       err,
		}))
	}
}

// writeFailed suspects the write as the reason for which the connection ends, unless the connection had ended before or
// somebody has given up the write.
func (c *Conn) writeFailed(err error) {
	if c.ending.Load() != nil || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, os.ErrDeadlineExceeded) && c.writeWoken.Load() {
		return
	}
	c.writeError.Store(&err)
	c.session.Failed(context.Background(), instrument.ErrorWrite, err)
}

// peerCause is the cause of a close frame that was received. One that must not have been sent is answered with a
// protocol error.
func peerCause(f *follower) instrument.Cause {
	code, ok := f.closeCode()
	if !ok {
		cause := local(instrument.ReasonProtocolError, ws.StatusProtocolError)
		cause.Err = errors.New("invalid close frame")
		return cause
	}
	return instrument.Cause{
		Initiator: instrument.InitiatorRemote,
		Reason:    instrument.ReasonForCode(int(code)),
		Code:      int(code),
	}
}

// ownCause is the cause of a close frame that is sent: what made it necessary if something did, what its code stands for
// otherwise.
func (c *Conn) ownCause(f *follower) instrument.Cause {
	code, _ := f.closeCode()
	cause := local(instrument.ReasonForCode(int(code)), code)
	switch cause.Reason {
	case instrument.ReasonProtocolError:
		cause.Err = c.violated()
	case instrument.ReasonNormal, instrument.ReasonGoingAway:
		cause = c.timedOut(cause) // other codes say more than a deadline does
	}
	return c.suspected(cause)
}

// cutCause is the cause of a close by this side without a close frame.
func (c *Conn) cutCause() instrument.Cause {
	if err := c.violated(); err != nil {
		cause := local(instrument.ReasonProtocolError, ws.StatusAbnormalClosure)
		cause.Err = err
		return cause
	}
	if c.peerCloses.Load() { // and nobody has read why
		return instrument.Cause{Initiator: instrument.InitiatorRemote, Code: int(ws.StatusNoStatusRcvd)}
	}
	reason := instrument.ReasonAbnormal
	if c.session.Observer().Draining() {
		reason = instrument.ReasonShutdown
	}
	return c.suspected(c.timedOut(local(reason, ws.StatusAbnormalClosure)))
}

// violated returns how the peer has violated the protocol, nil if it has not.
func (c *Conn) violated() error {
	if err := c.violation.Load(); err != nil {
		return *err
	}
	return nil
}

// timedOut returns the cause with the reason that a read deadline gives it.
func (c *Conn) timedOut(cause instrument.Cause) instrument.Cause {
	if err := c.readTimeout.Load(); err != nil {
		cause.Reason, cause.Err = instrument.ReasonIdleTimeout, *err
	}
	return cause
}

// suspected returns the cause as an unanswered ping or a failed write that came before explains it.
func (c *Conn) suspected(cause instrument.Cause) instrument.Cause {
	silent, unwritten := c.readTimeout.Load(), c.writeError.Load()
	switch {
	case silent != nil && c.pings.waiting():
		cause.Initiator, cause.Reason, cause.Err = instrument.InitiatorNetwork, instrument.ReasonPingTimeout, *silent
	case unwritten != nil:
		cause.Initiator, cause.Reason, cause.Err = instrument.InitiatorNetwork, instrument.ReasonWriteError, *unwritten
	}
	return cause
}

// end ends the session for the first cause that was said.
func (c *Conn) end() {
	if !c.ended.CompareAndSwap(false, true) {
		return
	}
	cause := *c.ending.Load()
	if cause.Initiator != instrument.InitiatorRemote && !c.closeSent.Load() {
		cause.Code = int(ws.StatusAbnormalClosure)
	}
	unanswered := instrument.PingError
	if cause.Reason == instrument.ReasonPingTimeout {
		unanswered = instrument.PingTimeout
	}
	c.pings.end(unanswered)
	if kind, ok := errorKind(cause); ok {
		c.session.Failed(context.Background(), kind, cause.Err)
	}
	c.session.Closed(cause)
}

// errorKind returns which error the end of a connection is. A failed write or a panic was counted when it happened.
func errorKind(cause instrument.Cause) (instrument.ErrorKind, bool) {
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
	}
	return 0, false
}

func local(reason instrument.CloseReason, code ws.StatusCode) instrument.Cause {
	return instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: reason, Code: int(code)}
}
