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
	net.Conn
	// NetConn returns the connection underneath, as that of tls.Conn does.
	NetConn() net.Conn
	// CloseWrite shuts down the writing side. It is only called where the connection underneath can.
	CloseWrite() error
}

type (
	closeWriter interface{ CloseWrite() error }
	followed    interface {
		net.Conn
		NetConn() net.Conn
	}
)

// HandOut returns the connection and the buffers to hand out for f, which follows conn, with what handlers look for on
// a connection as far as conn has it: CloseWrite and SyscallConn. What rw has read already stays in its buffer.
func HandOut(f Follower, conn net.Conn, rw *bufio.ReadWriter) (net.Conn, *bufio.ReadWriter) {
	var out net.Conn = plain{f}
	_, closes := conn.(closeWriter)
	raw, calls := conn.(syscall.Conn)
	switch {
	case closes && calls:
		out = struct {
			Follower
			syscall.Conn
		}{f, raw}
	case closes:
		out = f
	case calls:
		out = struct {
			followed
			syscall.Conn
		}{f, raw}
	}
	_ = rw.Flush() // nothing is in it, unless a middleware has begun the answer
	rw.Writer.Reset(out)
	early := Buffered(rw)
	if len(early) == 0 {
		rw.Reader.Reset(out)
		return out, rw
	}
	rw.Reader.Reset(io.MultiReader(bytes.NewReader(early), out))
	_, _ = rw.Peek(len(early))
	return out, rw
}

// Buffered returns a copy of what rw has read and nobody has read from it.
func Buffered(rw *bufio.ReadWriter) []byte {
	p, _ := rw.Peek(rw.Reader.Buffered())
	return bytes.Clone(p)
}

type plain struct{ followed }
