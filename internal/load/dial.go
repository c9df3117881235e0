package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/sockscope/sockscope/internal/transport"
	"github.com/sockscope/sockscope/internal/upstream"
)

const (
	// dialing bounds the handshakes under way at once.
	dialing     = 256
	dialTimeout = 10 * time.Second
)

// dialer opens connections.
type dialer struct {
	transport.Dialer
	servers []upstream.Server
	sources []netip.Addr
	places  chan struct{}
}

func newDialer(cfg Config) *dialer {
	return &dialer{servers: cfg.servers, sources: cfg.Sources, places: make(chan struct{}, dialing)}
}

// dial opens connection number n. The attempts are counted from 0, and each goes to the next server. The rate, if it is
// not 0, is the number of bytes per second that are read.
func (d *dialer) dial(ctx context.Context, over transport.Name, n, attempt, rate int, authorization string) (transport.Conn, error) {
	select {
	case d.places <- struct{}{}:
		defer func() { <-d.places }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	o := transport.Options{
		Server: d.servers[(n+attempt)%len(d.servers)], Authorization: authorization, Rate: rate,
	}
	if len(d.sources) > 0 {
		o.Source = d.sources[n%len(d.sources)]
	}
	return d.Dial(ctx, over, o)
}

// endReason says in a few words how a connection ended, so that equal ends are counted together.
func endReason(err error) string {
	var end *transport.EndError
	if errors.As(err, &end) {
		return end.Error()
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) { // which says more than the addresses
		err = op.Err
	}
	return "broken without a word: " + err.Error()
}

// failure says in a few words why there is no connection.
func failure(err error) string {
	var refused *transport.RefusedError
	var op *net.OpError
	switch {
	case errors.As(err, &refused):
		return fmt.Sprintf("handshake refused with %d", refused.Status)
	case errors.Is(err, context.DeadlineExceeded):
		return "no connection in time"
	case errors.As(err, &op):
		return "no connection: " + op.Err.Error()
	default:
		return "no connection: " + err.Error()
	}
}
