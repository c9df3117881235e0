package coder

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
)

// end closes the session for the first cause that was known.
func (c *Conn) end(cause instrument.Cause) {
	c.ending.CompareAndSwap(nil, &cause)
	c.session.Closed(*c.ending.Load())
}

// begin begins a write or ping and says whether it is one of those that sent waits for: one that begins after a read has
// found the connection closed cannot be why.
func (c *Conn) begin() bool {
	if c.cut.Load() {
		return false
	}
	c.sending.Add(1)
	return true
}

// sent ends a write or ping. When the context of one expires, websocket closes the connection, and a concurrent read, or
// another write or ping, may return before that one has told why: then the end of the session is left to the last of
// them. None keeps it waiting, because all return at once from a connection that is closed.
func (c *Conn) sent(begun bool) {
	if begun && c.sending.Add(-1) == 0 && c.cut.Load() {
		c.end(c.cutCause())
	}
}

// leftToSends says whether the connection is closed already, and a write or ping that is about to return knows why.
func (c *Conn) leftToSends() bool { return c.cut.Load() && c.sending.Load() > 0 }

// readFailed ends the session for what a failed read tells.
func (c *Conn) readFailed(ctx context.Context, err error) {
	if c.ending.Load() != nil {
		c.end(instrument.Cause{}) // the read failed because the connection is being closed
		return
	}
	if ctx.Err() != nil {
		// websocket closes the connection with the context, unless it had not begun to read: make it true then, too.
		defer func() { _ = c.ws.CloseNow() }()
	}
	if errors.Is(err, net.ErrClosed) {
		c.cut.Store(true)
		if c.sending.Load() == 0 {
			c.end(c.cutCause())
		}
		return
	}
	cause, failed := c.readCause(err)
	if failed {
		c.session.Failed(ctx, instrument.ErrorRead, err)
	}
	c.end(cause)
}

// readCause classifies the error of a read on a connection that this side has not begun to close, and says whether it
// is a failure of reading. A close frame is what the peer says itself; then comes what was wrong with what it sent; then
// what this side knew before.
func (c *Conn) readCause(err error) (cause instrument.Cause, failed bool) {
	var frame websocket.CloseError
	switch {
	case errors.As(err, &frame):
		return instrument.Cause{
			Initiator: instrument.InitiatorRemote,
			Reason:    instrument.ReasonForCode(int(frame.Code)),
			Code:      int(frame.Code),
		}, false
	case errors.Is(err, context.DeadlineExceeded):
		cause = c.localCause(instrument.ReasonIdleTimeout, websocket.StatusAbnormalClosure)
	case errors.Is(err, context.Canceled):
		cause = c.cutCause()
	case errors.Is(err, websocket.ErrMessageTooBig):
		cause, failed = local(instrument.ReasonMessageTooBig, websocket.StatusMessageTooBig), true
	case !isNetworkError(err):
		cause, failed = local(instrument.ReasonProtocolError, websocket.StatusProtocolError), true
	default:
		var suspected bool
		if cause, suspected = c.suspected(); !suspected {
			cause, failed = network(instrument.ReasonAbnormal, nil), true
		}
	}
	cause.Err = err
	return cause, failed
}

// isNetworkError tells an error of the connection from one of the protocol, for which websocket has no error values.
func isNetworkError(err error) bool {
	var netErr net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &netErr)
}

// localCause is the cause of a close by this side: what made it necessary if something did, the given reason otherwise.
func (c *Conn) localCause(reason instrument.CloseReason, code websocket.StatusCode) instrument.Cause {
	if cause, ok := c.suspected(); ok {
		cause.Code = int(code)
		return cause
	}
	return local(reason, code)
}

// cutCause is the cause of a close by this side without a close frame.
func (c *Conn) cutCause() instrument.Cause {
	reason := instrument.ReasonAbnormal
	if c.observer.Draining() {
		reason = instrument.ReasonShutdown
	}
	return c.localCause(reason, websocket.StatusAbnormalClosure)
}

// suspected returns the cause that a failed ping or write has announced.
func (c *Conn) suspected() (instrument.Cause, bool) {
	if c.pingTimeout.Load() {
		return network(instrument.ReasonPingTimeout, nil), true
	}
	if err := c.writeError.Load(); err != nil {
		return network(instrument.ReasonWriteError, *err), true
	}
	return instrument.Cause{}, false
}

func local(reason instrument.CloseReason, code websocket.StatusCode) instrument.Cause {
	return instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: reason, Code: int(code)}
}

func network(reason instrument.CloseReason, err error) instrument.Cause {
	return instrument.Cause{
		Initiator: instrument.InitiatorNetwork,
		Reason:    reason,
		Code:      int(websocket.StatusAbnormalClosure),
		Err:       err,
	}
}
