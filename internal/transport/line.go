package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// slowBuffer is the size of the kernel's buffer of a connection that reads slowly.
const slowBuffer = 4 << 10

// noticePatience is how long the server's end of a connection may take to show.
const noticePatience = time.Second

var errVanished = errors.New("this side has vanished")

// lines are the TCP connections of a Conn: one or, where requests are beside it, several.
type lines struct {
	source   netip.Addr
	rate     int
	received *atomic.Int64
	tls      *tls.Config

	mu       sync.Mutex
	open     []*line
	ended    bool // no more are opened
	vanished bool
	failed   error // why the last one could not be opened
}

// dial opens a TCP connection.
func (l *lines) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var from net.Dialer
	if l.source.IsValid() {
		from.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(l.source, 0))
	}
	conn, err := from.DialContext(ctx, network, address)
	if err == nil && l.rate > 0 {
		if tcp, ok := conn.(*net.TCPConn); ok {
			if err = tcp.SetReadBuffer(slowBuffer); err != nil {
				_ = conn.Close()
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed = err; err != nil {
		return nil, err
	}
	if l.ended {
		_ = conn.Close()
		return nil, errUsed
	}
	one := &line{Conn: conn, lines: l}
	l.open = append(l.open, one)
	return one, nil
}

// failure returns why the last TCP connection could not be opened, nil if it was.
func (l *lines) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// cut ends all without a word.
func (l *lines) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if l.vanished {
		return
	}
	for _, one := range l.open {
		_ = one.Conn.Close()
	}
	l.open = nil
}

// vanish leaves all open that are, and has those who use them find out that they can't any more.
func (l *lines) vanish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended, l.vanished = true, true
	for _, one := range l.open {
		one.vanished.Store(true)
		_ = one.Conn.SetDeadline(time.Unix(1, 0)) // or it has ended
	}
}

// noticed ends what was left open, and reports whether the server had ended the first one.
func (l *lines) noticed() bool {
	l.mu.Lock()
	open := l.open
	l.open, l.vanished = nil, false
	l.mu.Unlock()
	err := io.ErrUnexpectedEOF // as good as the end, if there is none
	if len(open) > 0 {
		_ = open[0].Conn.SetDeadline(time.Now().Add(noticePatience)) // or it has ended
		_, err = io.Copy(io.Discard, open[0].Conn)                   // what the server had sent is before its end
	}
	for _, one := range open {
		_ = one.Conn.Close()
	}
	var network net.Error
	return !errors.As(err, &network) || !network.Timeout()
}

func (l *lines) forget(one *line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.open, one); i >= 0 {
		l.open = slices.Delete(l.open, i, i+1)
	}
}

// line is one TCP connection.
type line struct {
	net.Conn
	lines    *lines
	vanished atomic.Bool
}

// Read implements net.Conn. At a limited rate it reads at most the bytes for a tenth of a second.
func (c *line) Read(p []byte) (int, error) {
	if c.vanished.Load() {
		return 0, errVanished
	}
	rate := c.lines.rate
	if rate > 0 {
		p = p[:min(len(p), max(1, rate/10))]
	}
	n, err := c.Conn.Read(p)
	if rate > 0 {
		time.Sleep(time.Duration(n) * time.Second / time.Duration(rate))
	}
	if c.lines.received != nil {
		c.lines.received.Add(int64(n))
	}
	return n, err
}

// Write implements net.Conn.
func (c *line) Write(p []byte) (int, error) {
	if c.vanished.Load() {
		return 0, errVanished
	}
	return c.Conn.Write(p)
}

// Close implements net.Conn. One that has vanished stays open.
func (c *line) Close() error {
	if c.vanished.Load() {
		return nil
	}
	c.lines.forget(c)
	return c.Conn.Close()
}

// SetDeadline implements net.Conn.
func (c *line) SetDeadline(t time.Time) error { return c.set(c.Conn.SetDeadline, t) }

// SetReadDeadline implements net.Conn.
func (c *line) SetReadDeadline(t time.Time) error { return c.set(c.Conn.SetReadDeadline, t) }

// SetWriteDeadline implements net.Conn.
func (c *line) SetWriteDeadline(t time.Time) error { return c.set(c.Conn.SetWriteDeadline, t) }

// set sets a deadline, unless that would take away the one of vanish.
func (c *line) set(deadline func(time.Time) error, t time.Time) error {
	c.lines.mu.Lock()
	defer c.lines.mu.Unlock()
	if c.vanished.Load() {
		return errVanished
	}
	return deadline(t)
}
