package grpcstream

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/stats"

	"github.com/sockscope/sockscope/instrument"
)

// leftWithin is how long the RPCs of a connection that has ended may take to end, too, before it is taken for granted that
// it has ended under them.
const leftWithin = time.Second

// A connection is an HTTP/2 connection. Its zero value is one that is not observed.
type connection struct {
	observer  *instrument.Observer
	handshake *instrument.Handshake
	session   *instrument.Conn

	mu       sync.Mutex
	underWay int  // RPCs
	broken   bool // it has ended under one
	ended    bool
	timeout  *time.Timer
}

// newConnection begins to observe a connection whose HTTP/2 handshake has succeeded.
func newConnection(ctx context.Context, o *instrument.Observer, info *stats.ConnTagInfo) *connection {
	address := ""
	if info.LocalAddr != nil {
		address = hostname(info.LocalAddr.String())
	}
	_, h := o.BeginHandshake(ctx, instrument.Request{Host: address})
	return &connection{observer: o, handshake: h}
}

func (c *connection) open() { c.session = c.handshake.Opened(0) }

func (c *connection) messageType(method string) instrument.MessageType {
	return c.observer.MessageType(typeName(method))
}

// enter is called when an RPC begins.
func (c *connection) enter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.underWay++
}

// leave is called when an RPC has ended.
func (c *connection) leave(e ending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.underWay--
	c.broken = c.broken || e.how == lost
	if c.ended && c.underWay == 0 {
		c.timeout.Stop()
		c.close()
	}
}

// end is called when the connection has ended. RPCs that are still under way may have been answered: their clients had the
// status and closed the connection before gRPC got around to telling it here. So they have the last word.
func (c *connection) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.underWay == 0 {
		c.close()
		return
	}
	c.ended = true
	c.timeout = time.AfterFunc(leftWithin, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.broken = true
		c.close()
	})
}

// close ends the observation. gRPC does not tell who has ended the connection, so what is known of its RPCs must do.
func (c *connection) close() {
	cause := instrument.Cause{Initiator: instrument.InitiatorRemote, Reason: instrument.ReasonGoingAway}
	switch {
	case c.observer.Draining():
		cause = instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: instrument.ReasonShutdown}
	case c.broken:
		cause = instrument.Cause{Initiator: instrument.InitiatorNetwork, Reason: instrument.ReasonAbnormal}
	}
	c.session.Closed(cause)
}
