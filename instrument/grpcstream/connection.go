package grpcstream

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc/stats"

	"github.com/sockscope/sockscope/instrument"
)

// A connection is an HTTP/2 connection. Its zero value is one that is not observed.
type connection struct {
	observer  *instrument.Observer
	handshake *instrument.Handshake
	session   *instrument.Conn

	underWay atomic.Int64 // RPCs
	broken   atomic.Bool  // it has ended under an RPC
}

// newConnection begins to observe a connection whose HTTP/2 handshake has succeeded.
func newConnection(ctx context.Context, o *instrument.Observer, info *stats.ConnTagInfo) *connection {
	address := ""
	if info.LocalAddr != nil {
		address = hostname(info.LocalAddr.String())
	}
	_, h := o.Handshake(ctx, nil, address)
	return &connection{observer: o, handshake: h}
}

func (c *connection) open() { c.session = c.handshake.Opened(0) }

func (c *connection) messageType(method string) instrument.MessageType {
	return c.observer.MessageType(method)
}

func (c *connection) enter() { c.underWay.Add(1) }

func (c *connection) leave(e ending) {
	if e.how == lost {
		c.broken.Store(true)
	}
	c.underWay.Add(-1)
}

// end ends the observation. gRPC does not tell who has ended the connection, so what is known of its RPCs must do.
func (c *connection) end() {
	cause := instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonGoingAway}
	switch {
	case c.observer.Draining():
		cause = instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: instrument.ReasonShutdown}
	case c.broken.Load() || c.underWay.Load() > 0:
		cause = instrument.Cause{Initiator: instrument.InitiatorNetwork, Reason: instrument.ReasonAbnormal}
	}
	c.session.Close(cause)
}
