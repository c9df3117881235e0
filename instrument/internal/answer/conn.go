package answer

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"syscall"
)

// A Follower is a connection that stands for the one underneath.
type Follower interface {
	halfCloser
	// SyscallConn is only called where the connection underneath has it.
	syscall.Conn
}

type halfCloser interface {
	netConn
	// CloseWrite is only called where the connection underneath has it.
	CloseWrite() error
}

type netConn interface {
	net.Conn
	// NetConn returns the connection underneath, as that of tls.Conn does.
	NetConn() net.Conn
}

// HandOut returns the connection and the buffers to hand out for f, which follows conn, with the methods that conn has:
// all for TCP, no SyscallConn for TLS, and no CloseWrite either for what a middleware may have made.
func HandOut(f Follower, conn net.Conn, rw *bufio.ReadWriter) (net.Conn, *bufio.ReadWriter) {
	var out net.Conn = f
	_, closes := conn.(interface{ CloseWrite() error })
	_, calls := conn.(syscall.Conn)
	switch {
	case !closes:
		out = struct{ netConn }{f}
	case !calls:
		out = struct{ halfCloser }{f}
	}
	return out, Reset(rw, out)
}

// Reset lets rw read and write conn, which follows the connection that it was made for. What it has read already stays in
// its buffer, where libraries look for it.
func Reset(rw *bufio.ReadWriter, conn net.Conn) *bufio.ReadWriter {
	_ = rw.Flush() // nothing is in it, unless a middleware has begun the answer
	rw.Writer.Reset(conn)
	early := Buffered(rw)
	if len(early) == 0 {
		rw.Reader.Reset(conn)
		return rw
	}
	rw.Reader.Reset(io.MultiReader(bytes.NewReader(early), conn))
	_, _ = rw.Peek(len(early))
	return rw
}

// Buffered returns a copy of what rw has read and nobody has read from it.
func Buffered(rw *bufio.ReadWriter) []byte {
	p, _ := rw.Peek(rw.Reader.Buffered())
	return bytes.Clone(p)
}
