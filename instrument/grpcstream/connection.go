package grpcstream

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/stats"

	"github.com/sockscope/sockscope/instrument"
)

// leftWithin is how long the RPCs of a connection that has ended may take to end before they count as cut.
const leftWithin = time.Second

// A connection is an HTTP/2 connection. The zero value is a connection that is not observed.
type connection struct {
	observer  *instrument.Observer
	handshake *instrument.Handshake
	observed  *instrument.Conn
	wire      *wire // nil below net/http, and with credentials other than ours

	mu       sync.Mutex
	underWay int // RPCs
	cut      bool
	ended    bool
	lost     []lostRPC // until the connection has ended
	timeout  *time.Timer
}

// lostRPC is an RPC that ended with its connection.
type lostRPC struct {
	ctx    context.Context //nolint:containedctx // the RPC's
	rpc    *rpc
	ending ending
}

// newConnection begins to observe a connection whose HTTP/2 handshake has succeeded.
func newConnection(ctx context.Context, o *instrument.Observer, info *stats.ConnTagInfo, w *wire) *connection {
	address := ""
	if info.LocalAddr != nil {
		address = info.LocalAddr.String()
	}
	_, h := o.BeginHandshake(ctx, instrument.Request{Host: address})
	return &connection{observer: o, handshake: h, wire: w}
}

func (c *connection) open() { c.observed = c.handshake.Opened(0) }

func (c *connection) messageType(method string) instrument.MessageType {
	return c.observer.MessageType(typeName(method))
}

// enter is called when an RPC begins.
func (c *connection) enter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.underWay++
}

// leave is called when an RPC has ended. The end of a lost RPC is noted only when the cause of the connection's end is
// known.
func (c *connection) leave(ctx context.Context, r *rpc, e ending) {
	c.mu.Lock()
	if e.how == lost && c.wire != nil && !c.ended {
		c.lost = append(c.lost, lostRPC{ctx, r, e})
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()

	r.end(ctx, e)

	c.mu.Lock()
	defer c.mu.Unlock()
	c.underWay--
	c.cut = c.cut || e.how == lost
	if c.ended && c.underWay == 0 {
		c.close()
	}
}

// end is called when the connection has ended. RPCs that are still under way may have been answered: the client may
// have received the status and closed the connection before gRPC reported the RPC's end here. So end waits for them,
// and they decide.
func (c *connection) end() {
	c.mu.Lock()
	c.ended = true
	lost := c.lost
	c.lost = nil
	if c.underWay == 0 {
		c.close()
	} else {
		c.timeout = time.AfterFunc(leftWithin, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.cut = true
			c.close()
		})
	}
	c.mu.Unlock()
	for _, l := range lost {
		c.leave(l.ctx, l.rpc, l.ending)
	}
}

// close ends the observation.
func (c *connection) close() {
	if c.timeout != nil {
		c.timeout.Stop()
	}
	c.observed.Closed(c.cause(c.cut, c.observer.Draining()))
}

// cause returns why the connection has ended, for the connection or for an RPC that it has cut. Without a wire it
// infers the cause from the RPCs.
func (c *connection) cause(cut, draining bool) instrument.Cause {
	switch {
	case c.wire != nil:
		return c.wire.cause(cut)
	case draining:
		return instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: instrument.ReasonShutdown}
	case cut:
		return instrument.Cause{Initiator: instrument.InitiatorNetwork, Reason: instrument.ReasonAbnormal}
	default:
		return instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonGoingAway}
	}
}
