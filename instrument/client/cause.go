package client

import (
	"errors"
	"io"
	"net"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
)

// readCause returns the cause of the connection's end, as far as a failed read shows it.
func readCause(err error) instrument.Cause {
	var frame websocket.CloseError
	switch {
	case errors.As(err, &frame):
		return instrument.Cause{
			Initiator: instrument.InitiatorRemote,
			Reason:    instrument.ReasonForCode(int(frame.Code)),
			Code:      int(frame.Code),
			Err:       err,
		}
	case errors.Is(err, websocket.ErrMessageTooBig):
		return local(instrument.ReasonMessageTooBig, websocket.StatusMessageTooBig, err)
	case !isNetworkError(err):
		return local(instrument.ReasonProtocolError, websocket.StatusProtocolError, err)
	default:
		return network(instrument.ReasonAbnormal, err)
	}
}

// isNetworkError reports whether an error is the connection's and not the protocol's. Package websocket has no error
// values for the latter.
func isNetworkError(err error) bool {
	var netErr net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, net.ErrClosed) || errors.As(err, &netErr)
}

// explained returns the cause with the reason that a ping or a write has found for a connection that has just broken.
func (conn *connection) explained(cause instrument.Cause) instrument.Cause {
	if cause.Reason != instrument.ReasonAbnormal {
		return cause
	}
	if conn.pingTimeout.Load() {
		return network(instrument.ReasonPingTimeout, errPingTimeout)
	}
	if err := conn.writeError.Load(); err != nil {
		return network(instrument.ReasonWriteError, *err)
	}
	return cause
}

func local(reason instrument.CloseReason, code websocket.StatusCode, err error) instrument.Cause {
	return instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: reason, Code: int(code), Err: err}
}

func network(reason instrument.CloseReason, err error) instrument.Cause {
	return instrument.Cause{
		Initiator: instrument.InitiatorNetwork,
		Reason:    reason,
		Code:      int(websocket.StatusAbnormalClosure),
		Err:       err,
	}
}
