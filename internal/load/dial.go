package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// dialing bounds the handshakes under way at once.
	dialing     = 256
	dialTimeout = 10 * time.Second
	// readBuffer is the size of a connection's buffer for reading. slowBuffer is the size of the kernel's buffer of a
	// connection that reads slowly or not at all. It is small, so that the server notices.
	readBuffer = 512
	slowBuffer = 4 << 10
	readLimit  = 1 << 20
)

// refusedError is the error of a handshake that the server has refused.
type refusedError struct {
	status int
	reason string
}

func (e *refusedError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("the server refused the handshake with %d: %s", e.status, e.reason))
}

// dialer opens connections.
type dialer struct {
	urls    []string
	sources []netip.Addr
	places  chan struct{}
	buffers sync.Pool // of connections that are writing
}

func newDialer(cfg Config) *dialer {
	return &dialer{urls: cfg.URLs, sources: cfg.Sources, places: make(chan struct{}, dialing)}
}

// dial opens connection number n. The attempts are counted from 0, and each goes to the next server. The rate, if it is
// not 0, is the number of bytes per second that are read.
func (d *dialer) dial(ctx context.Context, n, attempt, rate int, header http.Header) (*websocket.Conn, error) {
	select {
	case d.places <- struct{}{}:
		defer func() { <-d.places }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	done := func() bool { return true }
	defer func() { done() }()
	ws := websocket.Dialer{
		NetDialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := d.net(ctx, network, address, n, rate)
			if err == nil {
				done = context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends a handshake under way
			}
			return conn, err
		},
		ReadBufferSize:  readBuffer,
		WriteBufferPool: &d.buffers,
	}
	conn, resp, err := ws.DialContext(ctx, d.urls[(n+attempt)%len(d.urls)], header) //nolint:bodyclose // its documentation says that there is no need
	if errors.Is(err, websocket.ErrBadHandshake) && resp != nil {
		reason, _ := io.ReadAll(resp.Body) // a piece of it, which is in memory
		return nil, &refusedError{resp.StatusCode, strings.TrimSpace(string(reason))}
	}
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	conn.SetReadLimit(readLimit)
	// The library's own handler gives a pong one second, after which the connection is useless. On a machine that is
	// busy with making load that is too short.
	conn.SetPingHandler(func(data string) error {
		_ = conn.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(writeTimeout)) // if it fails, reading fails, too
		return nil
	})
	return conn, nil
}

func (d *dialer) net(ctx context.Context, network, address string, n, rate int) (net.Conn, error) {
	var from net.Dialer
	if len(d.sources) > 0 {
		from.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(d.sources[n%len(d.sources)], 0))
	}
	conn, err := from.DialContext(ctx, network, address)
	if err != nil || rate == 0 {
		return conn, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		if err := tcp.SetReadBuffer(slowBuffer); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return &slowConn{Conn: conn, rate: rate}, nil
}

// slowConn is a connection that is read slowly.
type slowConn struct {
	net.Conn
	rate int // bytes per second
}

// Read reads at most the bytes for a tenth of a second.
func (c *slowConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(len(p), max(1, c.rate/10))])
	time.Sleep(time.Duration(n) * time.Second / time.Duration(c.rate))
	return n, err
}

// endReason says in a few words how a connection ended, so that equal ends are counted together.
func endReason(err error) string {
	var frame *websocket.CloseError
	if errors.As(err, &frame) && frame.Code != websocket.CloseAbnormalClosure {
		return strings.TrimSpace(fmt.Sprintf("closed by the server with %d %s", frame.Code, frame.Text))
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) { // which says more than the addresses
		err = op.Err
	}
	return "broken without a close frame: " + err.Error()
}

// closeCode returns the code with which the server has closed a connection, or 0 if it has not.
func closeCode(err error) int {
	var frame *websocket.CloseError
	if errors.As(err, &frame) && frame.Code != websocket.CloseAbnormalClosure {
		return frame.Code
	}
	return 0
}

// timedOut reports whether it took too long.
func timedOut(err error) bool {
	var network interface{ Timeout() bool }
	return errors.As(err, &network) && network.Timeout()
}

// failure says in a few words why there is no connection.
func failure(err error) string {
	var refused *refusedError
	var op *net.OpError
	switch {
	case errors.As(err, &refused):
		return fmt.Sprintf("handshake refused with %d", refused.status)
	case errors.Is(err, context.DeadlineExceeded):
		return "no connection in time"
	case errors.As(err, &op):
		return "no connection: " + op.Err.Error()
	default:
		return "no connection: " + err.Error()
	}
}
