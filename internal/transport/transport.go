// Package transport is the client's side of the demo's transports. All of them carry the same messages, which
// docs/protocol.md describes, so a caller that speaks the protocol can use each of them by the same interface: see
// Dialer and Conn.
package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/internal/upstream"
)

// Name names a transport. The zero value stands for WebSocket.
type Name string

// The transports. They are called like the folders of the demo that serve them.
const (
	WebSocket Name = "websocket"
	SSE       Name = "sse"  // events in one direction, posts in the other
	Poll      Name = "poll" // long polls; it can't send
	GRPC      Name = "grpc" // a Chat
	SocketIO  Name = "socketio"
)

// Names returns all transports.
func Names() []Name { return []Name{WebSocket, SSE, Poll, GRPC, SocketIO} }

// String returns the name.
func (n Name) String() string {
	if n == "" {
		return string(WebSocket)
	}
	return string(n)
}

// MarshalText returns the name, which may be empty.
func (n Name) MarshalText() ([]byte, error) { return []byte(n), nil }

// UnmarshalText reads a name.
func (n *Name) UnmarshalText(text []byte) error {
	if !slices.Contains(Names(), Name(text)) {
		return fmt.Errorf("%q is no transport: give one of %v", text, Names())
	}
	*n = Name(text)
	return nil
}

// Sends reports whether its clients can send something.
func (n Name) Sends() bool { return n != Poll }

// Conn is a client's connection. One goroutine at a time calls Receive. All other methods may be called meanwhile, by
// anybody.
type Conn interface {
	// Receive waits for the next message of the server and hands it to take, as it has come. The bytes may be used
	// until take returns. The first message is a welcome. After an error the connection has ended: an *EndError if the
	// server has ended it in order and says why.
	Receive(take func(data []byte)) error
	// Decode reads what Receive hands out. Equal bytes are decoded equally on all connections of all transports.
	Decode(data []byte) (wire.Envelope, error)
	// Send sends a request. If it fails, the connection has ended, and Receive says why.
	Send(env *wire.Envelope) error
	// Close ends the connection in order. Receive returns what still comes, for a few seconds at most.
	Close()
	// Cut ends the connection without a word.
	Cut()
	// Vanish leaves the connection as it is, and never reads or answers again, as if the client hung. Receive ends.
	Vanish()
	// Noticed ends a connection that has vanished, and reports whether the server had done so before, or does within a
	// second.
	Noticed() bool
}

// Options say how a connection is made.
type Options struct {
	Server        upstream.Server
	Authorization string     // value of the header with the token
	Source        netip.Addr // where the connection comes from; default: the system chooses
	// Rate is how many bytes per second are read; 0 for no limit. A connection that reads slowly has a small buffer in
	// the kernel, so that the server notices.
	Rate     int
	Received *atomic.Int64 // adds up the bytes that are read; nil if nobody wants to know
}

// Dialer opens connections. Those of one Dialer share memory for what is under way. The zero value is ready to use.
type Dialer struct {
	TLS *tls.Config // of encrypted connections; default: the system's authorities are trusted

	writes sync.Pool // gorilla's
	reads  buffers
}

const (
	// closeTimeout is how long the server may take to answer the end of a connection.
	closeTimeout = 5 * time.Second
	writeTimeout = 10 * time.Second
	// readLimit is the size of the largest message that is read.
	readLimit = 1 << 20
)

// Dial opens a connection, of which ctx ends only the opening. The error is a *RefusedError if the server has refused
// it.
func (d *Dialer) Dial(ctx context.Context, over Name, o Options) (Conn, error) {
	conn, err := d.dial(ctx, over, o)
	var refused *RefusedError
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil && !errors.As(err, &refused):
		err = context.Cause(ctx)
	}
	return nil, fmt.Errorf("connect: %w", err)
}

func (d *Dialer) dial(ctx context.Context, over Name, o Options) (Conn, error) {
	l := &lines{source: o.Source, rate: o.Rate, received: o.Received, tls: d.TLS}
	switch over {
	case WebSocket, "":
		return d.dialWebSocket(ctx, l, o)
	case SSE:
		return d.dialSSE(ctx, l, o)
	case Poll:
		return newPoll(l, o), nil
	case GRPC:
		return dialGRPC(ctx, l, o)
	case SocketIO:
		return d.dialSocketIO(ctx, l, o)
	}
	return nil, fmt.Errorf("%q is no transport: take one of %v", string(over), Names())
}

// RefusedError is the error of a connection that the server has refused.
type RefusedError struct {
	Status int // as HTTP has it
	Reason string
}

// Error says what the server has answered.
func (e *RefusedError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("the server refused the connection with %d: %s", e.Status, e.Reason))
}

// EndError says how the server has ended a connection in order.
type EndError struct {
	Code int    // that a WebSocket was closed with, or the status of gRPC; 0 if the transport has none
	Text string // the same for people, and why
	// Expired says that the token has. A transport that can't tell refuses it when it is used again.
	Expired bool
}

// Error says how the connection was ended.
func (e *EndError) Error() string { return strings.TrimSpace("closed by the server with " + e.Text) }

// welcomeOf returns the payload of a welcome, as far as it can be read.
func welcomeOf(env *wire.Envelope) (p wire.WelcomePayload) {
	_ = json.Unmarshal(env.Payload, &p)
	return p
}

// errUsed is that of a connection that this side has ended.
var errUsed = errors.New("this side has ended the connection")

// buffers are for messages that are being read.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() *bytes.Buffer {
	if buf, ok := b.pool.Get().(*bytes.Buffer); ok {
		buf.Reset()
		return buf
	}
	return new(bytes.Buffer)
}

func (b *buffers) put(buf *bytes.Buffer) { b.pool.Put(buf) }
