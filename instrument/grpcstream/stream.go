package grpcstream

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/stats"

	"github.com/sockscope/sockscope/instrument"
)

// acceptedAfter is how long a handler may take to refuse a stream. After that the stream counts as open even if the
// handler neither sends nor reads anything, such as the handler of a subscription while nothing happens.
const acceptedAfter = time.Second

// A stream is a streaming RPC of a method that the server has.
type stream struct {
	observer      *instrument.Observer
	typ           instrument.MessageType
	connection    *connection // which counts messages, too
	carryingType  instrument.MessageType
	clientStreams bool
	timeout       *time.Timer

	conn atomic.Pointer[instrument.Conn] // nil until it is open

	counter instrument.Counter // of conn, set before it

	opening   sync.Mutex
	handshake *instrument.Handshake
	requested bool // a request of the size was received before the stream was open
	request   int
	refused   bool
}

// newStream begins to observe the handshake of a stream, if streams are observed.
func newStream(ctx context.Context, o *instrument.Observer, r *rpc, clientStreams bool) *stream {
	s := &stream{
		observer:      o,
		typ:           o.MessageType(typeName(r.method)),
		connection:    r.connection,
		carryingType:  r.connection.messageType(r.method),
		clientStreams: clientStreams,
	}
	_, s.handshake = o.BeginHandshake(ctx, instrument.Request{Host: r.header.authority(), Path: r.method, Header: r.header})
	if s.handshake != nil {
		s.opening.Lock() // the timer must not fire before s.timer is set
		defer s.opening.Unlock()
		s.timeout = time.AfterFunc(acceptedAfter, func() { s.open() })
	}
	return s
}

// open ends the handshake of a stream that is accepted, and returns its handle, or nil if it has been refused.
func (s *stream) open() *instrument.Conn {
	if conn := s.conn.Load(); conn != nil || s.handshake == nil {
		return conn
	}
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.refused || s.conn.Load() != nil {
		return s.conn.Load()
	}
	s.timeout.Stop()
	conn := s.handshake.Opened(0)
	s.counter = conn.BeginCounting()
	if s.requested {
		s.counter.Received(s.typ, s.request)
	}
	s.conn.Store(conn)
	return conn
}

// count returns what counts the messages of a stream that is accepted. It does nothing for one that is not observed or
// has been refused.
func (s *stream) count() instrument.Counter {
	if s.open() == nil {
		return instrument.Counter{}
	}
	return s.counter
}

// received counts a message of the client. The single request of a method without a streaming client is part of the
// handshake, like an HTTP request, because gRPC reads it before the handler can refuse.
func (s *stream) received(p *stats.InPayload) {
	size := p.Length
	s.connection.observed.Received(s.carryingType, size)
	if s.clientStreams || !s.keepRequest(size) {
		s.count().Received(s.typ, size)
	}
}

// keepRequest keeps the request until the stream is open. It returns false if the stream is open already.
func (s *stream) keepRequest(size int) bool {
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.handshake == nil || s.conn.Load() != nil {
		return false
	}
	s.requested, s.request = true, size
	return true
}

func (s *stream) sent(size int) {
	s.connection.observed.Sent(s.carryingType, size)
	s.count().Sent(s.typ, size)
}

func (s *stream) headerSent() { s.open() }

// panicked counts a panic of the handler, unless Conn.Handle has.
func (s *stream) panicked(ctx context.Context, v any) { s.open().Panicked(ctx, v) }

// end ends the observation: as a close if the stream was open, otherwise as a refusal.
func (s *stream) end(ctx context.Context, e ending) {
	if s.handshake == nil || s.refuse(e) {
		return
	}
	conn := s.open()
	if kind, ok := e.errorKind(); ok {
		conn.Failed(ctx, kind, e.err)
	}
	draining := s.observer.Draining()
	if e.how != lost {
		conn.Closed(e.cause(draining))
		return
	}
	cause := s.connection.cause(true, draining)
	cause.Code = int(e.code)
	conn.Closed(cause)
}

// refuse ends the handshake as refused, if it was, and says whether.
func (s *stream) refuse(e ending) bool {
	status, ok := e.refusal(s.observer.Draining())
	s.opening.Lock()
	defer s.opening.Unlock()
	if !ok || s.conn.Load() != nil {
		return false
	}
	s.timeout.Stop()
	s.refused = true
	s.handshake.Refused(status, 0, e.err)
	return true
}
