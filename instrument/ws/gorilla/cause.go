package gorilla

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"

	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/instrument"
)

// closing takes note of why the connection ends and says whether that was not known before. A close frame that was sent
// tells it best.
func (c *Conn) closing(cause instrument.Cause) bool {
	if announced := c.announced.Load(); announced != nil {
		cause = *announced
	}
	return c.ending.CompareAndSwap(nil, &cause)
}

// end ends the session for the first cause that was known.
func (c *Conn) end() {
	cause := *c.ending.Load()
	c.pings.end(cause.Reason)
	c.session.Closed(cause)
}

// fail counts an error. The transport knows no contexts.
func (c *Conn) fail(kind instrument.ErrorKind, err error) {
	c.session.Failed(context.Background(), kind, err)
}

// readFailed ends the session for what a failed read tells, unless the connection was being closed. A read that the
// application has woken up tells nothing: it is about to close the connection.
func (c *Conn) readFailed(err error) {
	if c.ending.Load() == nil && c.announced.Load() == nil {
		if deadlinePassed(err) && c.readDeadline.wakes() {
			return
		}
		cause, kind := c.readCause(err)
		cause.Err = err
		if c.closing(cause) && kind != 0 {
			c.fail(kind, err)
		}
	}
	c.closing(instrument.Cause{})
	c.end()
}

// readCause classifies the error of a read on a connection that this side has not begun to close, and says what it is
// to be counted as, 0 if it is no error.
func (c *Conn) readCause(err error) (instrument.Cause, instrument.ErrorKind) {
	var closed *websocket.CloseError
	switch {
	case errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure:
		return remote(closed.Code), 0 // by a handler that was set underneath
	case errors.Is(err, net.ErrClosed):
		return c.cutCause(), 0
	case errors.Is(err, websocket.ErrReadLimit):
		return local(instrument.ReasonMessageTooBig, websocket.CloseMessageTooBig), instrument.ErrorRead
	case !isNetworkError(err):
		return local(instrument.ReasonProtocolError, websocket.CloseProtocolError), instrument.ErrorRead
	}
	if cause, ok := c.suspected(); ok {
		return cause, 0
	}
	if !deadlinePassed(err) {
		return network(instrument.ReasonAbnormal, err), instrument.ErrorRead
	}
	if c.pings.waiting() {
		return network(instrument.ReasonPingTimeout, err), instrument.ErrorTimeout
	}
	return local(instrument.ReasonIdleTimeout, websocket.CloseAbnormalClosure), 0
}

// isNetworkError tells an error of the connection from one of the protocol, for which the transport has no error
// values. It reports the end of the stream as a close frame with the code that no frame can have.
func isNetworkError(err error) bool {
	var netErr net.Error
	return websocket.IsCloseError(err, websocket.CloseAbnormalClosure) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &netErr)
}

// deadlinePassed tells the read deadline from the timeouts of TCP. The transport leaves only the text of either.
func deadlinePassed(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) && netErr.Timeout() && strings.HasSuffix(err.Error(), os.ErrDeadlineExceeded.Error())
}

// localCause is the cause of a close by this side: a failed write if there was one, the given reason otherwise.
func (c *Conn) localCause(reason instrument.CloseReason, code int) instrument.Cause {
	if cause, ok := c.suspected(); ok {
		cause.Code = code
		return cause
	}
	return local(reason, code)
}

// cutCause is the cause of a close by this side without a close frame.
func (c *Conn) cutCause() instrument.Cause {
	reason := instrument.ReasonAbnormal
	if c.session.Observer().Draining() {
		reason = instrument.ReasonShutdown
	}
	return c.localCause(reason, websocket.CloseAbnormalClosure)
}

// suspected returns the cause that a failed write has announced.
func (c *Conn) suspected() (instrument.Cause, bool) {
	if err := c.writeError.Load(); err != nil {
		return network(instrument.ReasonWriteError, *err), true
	}
	return instrument.Cause{}, false
}

func local(reason instrument.CloseReason, code int) instrument.Cause {
	return instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: reason, Code: code}
}

func remote(code int) instrument.Cause {
	return instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonForCode(code), Code: code}
}

func network(reason instrument.CloseReason, err error) instrument.Cause {
	return instrument.Cause{
		Initiator: instrument.InitiatorNetwork, Reason: reason, Code: websocket.CloseAbnormalClosure, Err: err,
	}
}
