package grpcstream

import (
	"encoding/binary"
	"errors"
	"net"
	"reflect"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sockscope/sockscope/instrument"
)

// taggedWithin is how long a connection that is closed before it is tagged is kept.
const taggedWithin = time.Second

// wires are the connections that are set up and not yet tagged, by their remote address. An address is a pointer, so it
// identifies one connection even if two have equal addresses, such as on a Unix socket.
type wires struct{ untagged sync.Map } // *wire by net.Addr

// follow returns a followed conn.
func (ws *wires) follow(conn net.Conn) net.Conn {
	remote := conn.RemoteAddr()
	if remote == nil {
		return conn
	}
	if !isPointer(remote) {
		remote = &address{remote}
	}
	w := &wire{Conn: conn, remote: remote, wires: ws}
	w.in.skip = len(clientPreface)
	ws.untagged.Store(remote, w)
	return w
}

// take returns the connection with this remote address, or nil if it is not followed.
func (ws *wires) take(remote net.Addr) *wire {
	if remote == nil || !isPointer(remote) {
		return nil
	}
	w, _ := ws.untagged.LoadAndDelete(remote)
	found, _ := w.(*wire)
	return found
}

// forget forgets a closed connection after a while. It may still be tagged, because Server.Stop closes new connections.
// A connection whose HTTP/2 handshake failed is never tagged.
func (ws *wires) forget(w *wire) {
	if _, untagged := ws.untagged.Load(w.remote); untagged {
		time.AfterFunc(taggedWithin, func() { ws.untagged.CompareAndDelete(w.remote, w) })
	}
}

func isPointer(a net.Addr) bool { return reflect.TypeOf(a).Kind() == reflect.Pointer }

// address makes a pointer of an address that is not a pointer.
type address struct{ net.Addr }

// following wraps a server's credentials to follow their connections above TLS.
type following struct {
	credentials.TransportCredentials
	wires *wires
	plain bool // the server has no credentials
}

func newFollowing(creds credentials.TransportCredentials, ws *wires) *following {
	if creds == nil {
		return &following{TransportCredentials: insecure.NewCredentials(), wires: ws, plain: true}
	}
	return &following{TransportCredentials: creds, wires: ws}
}

// ServerHandshake implements credentials.TransportCredentials. Without credentials there is no AuthInfo, like in gRPC.
func (f *following) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if f.plain {
		return f.wires.follow(raw), nil, nil
	}
	conn, info, err := f.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return conn, info, err //nolint:wrapcheck // gRPC compares it with its own
	}
	return f.wires.follow(conn), info, nil
}

// Clone implements credentials.TransportCredentials.
func (f *following) Clone() credentials.TransportCredentials {
	return &following{TransportCredentials: f.TransportCredentials.Clone(), wires: f.wires, plain: f.plain}
}

// A wire is the connection below HTTP/2. It finds out who has ended the connection and why, which gRPC does not tell a
// stats.Handler: from the GOAWAY and PING frames that pass, and from how reading ends. gRPC reads in one goroutine and
// writes in another.
type wire struct {
	net.Conn
	remote  net.Addr
	wires   *wires
	in, out frames
	pinged  atomic.Bool // a keepalive ping was written, and nothing was read since

	mu             sync.Mutex
	closed         bool  // by gRPC, before reading failed
	stopped        error // reading has failed
	sent, received goAway
}

// goAway is the last GOAWAY frame in one direction.
type goAway struct {
	seen bool
	code uint32
	text string
}

// The error codes of GOAWAY frames that say who is at fault, and the texts that gRPC writes into GOAWAY frames without
// an error.
const (
	noError         = 0x0
	enhanceYourCalm = 0xb

	maxAge  = "max_age"
	maxIdle = "max_idle"
)

// RemoteAddr implements net.Conn.
func (w *wire) RemoteAddr() net.Addr { return w.remote }

// SyscallConn implements syscall.Conn, which channelz asks for.
func (w *wire) SyscallConn() (syscall.RawConn, error) {
	if conn, ok := w.Conn.(syscall.Conn); ok {
		return conn.SyscallConn() //nolint:wrapcheck // as if it were not followed
	}
	return nil, errors.ErrUnsupported
}

// Read implements net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.in.follow(p[:n], w.read)
		if w.pinged.Load() {
			w.pinged.Store(false)
		}
	}
	if err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.stopped == nil {
			w.stopped = err
		}
	}
	return n, err //nolint:wrapcheck // gRPC compares it with io.EOF
}

// Write implements net.Conn.
func (w *wire) Write(p []byte) (int, error) {
	w.out.follow(p, w.wrote) // before the peer can answer
	return w.Conn.Write(p)   //nolint:wrapcheck // as if it were not followed
}

// Close implements net.Conn.
func (w *wire) Close() error {
	w.wires.forget(w)
	w.mu.Lock()
	w.closed = w.closed || w.stopped == nil
	w.mu.Unlock()
	return w.Conn.Close() //nolint:wrapcheck // as if it were not followed
}

func (w *wire) read(f frame) {
	if f.kind == frameGoAway {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.received = f.goAway()
	}
}

func (w *wire) wrote(f frame) {
	switch {
	case f.kind == frameGoAway:
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sent = f.goAway()
	case f.isKeepalive():
		w.pinged.Store(true)
	}
}

// cause returns why the connection has ended. It is called when gRPC has stopped reading. A connection is cut if an RPC
// ended with it.
func (w *wire) cause(cut bool) instrument.Cause {
	w.mu.Lock()
	defer w.mu.Unlock()
	cause := func(i instrument.Initiator, r instrument.CloseReason) instrument.Cause {
		return instrument.Cause{Initiator: i, Reason: r}
	}
	network := func(r instrument.CloseReason) instrument.Cause {
		return instrument.Cause{Initiator: instrument.InitiatorNetwork, Reason: r, Err: w.stopped}
	}
	switch {
	case w.sent.code == enhanceYourCalm:
		return cause(instrument.InitiatorLocal, instrument.ReasonPolicy)
	case w.sent.code != noError, w.stopped == nil: // gRPC has stopped reading because of what it read
		return cause(instrument.InitiatorLocal, instrument.ReasonProtocolError)
	case w.pinged.Load() && (w.closed || timedOut(w.stopped)):
		return network(instrument.ReasonPingTimeout)
	case !w.closed && cut && !w.received.seen:
		return network(instrument.ReasonAbnormal)
	case w.sent.text == maxIdle:
		return cause(instrument.InitiatorLocal, instrument.ReasonIdleTimeout)
	case w.sent.text == maxAge:
		return cause(instrument.InitiatorLocal, instrument.ReasonGoingAway)
	case w.sent.seen, w.closed: // by Server.GracefulStop, and by Server.Stop, which says nothing
		return cause(instrument.InitiatorLocal, instrument.ReasonShutdown)
	default:
		return cause(instrument.InitiatorRemote, instrument.ReasonGoingAway)
	}
}

// timedOut reports whether the kernel has noticed that the peer does not acknowledge.
func timedOut(err error) bool { return errors.Is(err, syscall.ETIMEDOUT) }

// clientPreface is what a client sends before its frames.
const clientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// The parts of HTTP/2 frames that are read.
const (
	frameHeader  = 9
	framePayload = 24 // a GOAWAY's last stream and code, and the texts above
	framePing    = 0x6
	frameGoAway  = 0x7
	flagAck      = 0x1
)

// A frame is one PING or GOAWAY. Its payload may be cut, and is valid until the next frame.
type frame struct {
	kind, flags byte
	payload     []byte
}

func (f frame) goAway() goAway {
	if len(f.payload) < 8 {
		return goAway{}
	}
	return goAway{seen: true, code: binary.BigEndian.Uint32(f.payload[4:]), text: string(f.payload[8:])}
}

// isKeepalive reports whether a ping is one of gRPC's keepalive pings, which carry zeros. gRPC also pings to measure
// and to drain.
func (f frame) isKeepalive() bool {
	return f.kind == framePing && f.flags&flagAck == 0 && string(f.payload) == "\x00\x00\x00\x00\x00\x00\x00\x00"
}

// frames follows one direction of an HTTP/2 connection.
type frames struct {
	skip int // further bytes that are not read
	have int // bytes of the frame in head
	head [frameHeader + framePayload]byte
}

// follow looks at the next bytes and calls seen for each PING and GOAWAY among them. It does not allocate.
func (f *frames) follow(p []byte, seen func(frame)) {
	for len(p) > 0 {
		if f.skip > 0 {
			n := min(f.skip, len(p))
			f.skip -= n
			p = p[n:]
			continue
		}
		n := copy(f.head[f.have:f.need()], p)
		f.have += n
		p = p[n:]
		if f.have < f.need() {
			continue // to the payload, or for more bytes
		}
		if kind := f.head[3]; kind == framePing || kind == frameGoAway {
			seen(frame{kind: kind, flags: f.head[4], payload: f.head[frameHeader:f.have]})
		}
		f.skip = f.length() - (f.have - frameHeader)
		f.have = 0
	}
}

// need returns how many bytes of the frame are needed, as far as is known yet.
func (f *frames) need() int {
	if f.have < frameHeader {
		return frameHeader
	}
	if kind := f.head[3]; kind != framePing && kind != frameGoAway {
		return frameHeader
	}
	return frameHeader + min(f.length(), framePayload)
}

func (f *frames) length() int { return int(f.head[0])<<16 | int(f.head[1])<<8 | int(f.head[2]) }
