package inject

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sockscope/sockscope/demo/cluster"
	"github.com/sockscope/sockscope/demo/fault"
	"github.com/sockscope/sockscope/instrument/backplane"
)

// backplaneConns are the connections by which this node speaks with the others, which faults cut or hold up. They are
// not those of the message store, though both are in Redis.
type backplaneConns struct {
	mu   sync.Mutex
	open map[*listedConn]struct{}
}

type listedConn struct {
	heldConn
	conns *backplaneConns
}

// Close takes the connection off the list.
func (c *listedConn) Close() error {
	c.conns.mu.Lock()
	delete(c.conns.open, c)
	c.conns.mu.Unlock()
	return c.heldConn.Close()
}

// cut closes all connections.
func (b *backplaneConns) cut() {
	b.mu.Lock()
	open := b.open
	b.open = nil
	b.mu.Unlock()
	for c := range open {
		_ = c.heldConn.Close() // an error means that it is closed
	}
}

// Bus decorates what carries the messages of other nodes: backplane_lag.
func (f *Faults) Bus(b cluster.Bus) cluster.Bus { return laggingBus{b, f} }

type laggingBus struct {
	cluster.Bus
	faults *Faults
}

// Run implements cluster.Bus.
func (b laggingBus) Run(ctx context.Context, handle func(context.Context, backplane.Message)) error {
	return b.Bus.Run(ctx, func(ctx context.Context, m backplane.Message) {
		if lag := b.faults.backplaneLag; lag.On() {
			most := milliseconds(lag)
			lag.Hold(ctx, min(most, time.Until(m.Published.Add(most))))
		}
		handle(ctx, m)
	})
}

// noBackplane says why there is no backplane that faults could get at, nothing where there is one.
func noBackplane(c redis.UniversalClient) string {
	switch c.(type) {
	case *redis.Client:
		return ""
	case nil:
		return "this node is the only one, connect it with others by --redis"
	}
	return fmt.Sprintf("the node's client of Redis is a %T, give it a *redis.Client", c)
}

// BusClient decorates the connections to the other nodes: backplane_down, backplane_partition. It returns a client that
// does as c does, with connections of its own that faults can get at, and what closes them. Where that is not possible
// it returns c.
func (f *Faults) BusClient(c redis.UniversalClient) (_ redis.UniversalClient, end func() error) {
	client, ok := c.(*redis.Client)
	if !ok {
		return c, func() error { return nil }
	}
	opts := *client.Options()
	// The client has filled in its options, where -1 means none and has become 0, and -2 has become -1. They are going
	// to be filled in once more.
	if opts.MaxRetries == 0 {
		opts.MaxRetries = -1
	}
	for _, d := range []*time.Duration{
		&opts.ReadTimeout, &opts.WriteTimeout, &opts.MinRetryBackoff, &opts.MaxRetryBackoff,
	} {
		if *d <= 0 {
			*d--
		}
	}
	opts.PushNotificationProcessor = nil // each client has its own
	dial := opts.Dialer
	opts.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		f.backplanePartition.Hold(ctx, opts.DialTimeout)
		if f.backplanePartition.On() {
			return nil, &net.OpError{Op: "dial", Net: network, Err: os.ErrDeadlineExceeded}
		}
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return f.listBackplane(conn)
	}
	own := redis.NewClient(&opts)
	return own, own.Close
}

// listBackplane puts a new connection within reach of the faults, or refuses it for one.
func (f *Faults) listBackplane(conn net.Conn) (net.Conn, error) {
	c := &listedConn{heldConn: heldConn{Conn: conn}, conns: &f.backplane}
	for _, h := range []*hold{&c.in, &c.out} {
		h.fault, h.atMost = f.backplanePartition, fault.MaxDuration
	}
	f.backplane.mu.Lock()
	defer f.backplane.mu.Unlock()
	if f.backplaneDown.On() { // asked under the lock, so that either this or cut finds the connection
		_ = conn.Close()
		return nil, &net.OpError{Op: "dial", Net: conn.RemoteAddr().Network(), Addr: conn.RemoteAddr(), Err: syscall.ECONNREFUSED}
	}
	if f.backplane.open == nil {
		f.backplane.open = make(map[*listedConn]struct{})
	}
	f.backplane.open[c] = struct{}{}
	return c, nil
}
