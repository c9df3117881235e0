package answer

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"syscall"
)

// A Follower is a connection that replaces the connection underneath.
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
	// NetConn returns the connection underneath, like the method of tls.Conn.
	NetConn() net.Conn
}

// HandOut returns the connection and the buffers to hand out for f, which follows conn. The connection has the methods
// that conn has: all for TCP, no SyscallConn for TLS, and perhaps no CloseWrite either if a middleware has made conn.
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

// Reset makes rw read and write conn, which follows the connection for which rw was made. Bytes that rw has read
// already stay in its buffer, where libraries look for them.
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

// Buffered returns a copy of the bytes in rw that nobody has read yet.
func Buffered(rw *bufio.ReadWriter) []byte {
	p, _ := rw.Peek(rw.Reader.Buffered())
	return bytes.Clone(p)
}
