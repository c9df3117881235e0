package grpcstream

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"

	"github.com/sockscope/sockscope/instrument"
)

// The names to give to instrument.WithProtocol for the two observers, so that metrics are called
// grpc_stream_connections_total and grpc_connections_total and so on.
const (
	Protocol           = "grpc_stream"
	ConnectionProtocol = "grpc"
)

type handler struct{ streams, connections *instrument.Observer }

// NewServerHandler returns the option's value for grpc.StatsHandler. It observes streaming RPCs by streams, HTTP/2
// connections and unary RPCs by connections. Either may be nil, and what it would observe is then not observed. An RPC
// that is observed costs a few allocations, a message none but those of gRPC itself.
func NewServerHandler(streams, connections *instrument.Observer) stats.Handler {
	return &handler{streams: streams, connections: connections}
}

// Session returns the handle of the streaming RPC that ctx belongs to, for what only the application knows: what its
// queues drop, the ids for log records. It is for handlers, not for interceptors that may still refuse: to ask for it
// opens the stream. It is nil, and does nothing, in a unary RPC and in one that is not observed.
func Observed(ctx context.Context) *instrument.Conn {
	r, _ := ctx.Value(rpcKey{}).(*rpc)
	if r == nil {
		return nil
	}
	if s, ok := r.observed.(*stream); ok {
		return s.open()
	}
	return nil
}

type (
	connectionKey struct{}
	rpcKey        struct{}
)

// rpc is what is known of an RPC from its beginning to its end.
type rpc struct {
	method     string
	connection *connection
	header     carrier
	observed   observed    // nil before Begin, and where nobody observes it
	answered   atomic.Bool // the status was sent
}

// observed is an RPC that is under way.
type observed interface {
	received(ctx context.Context, size int)
	sent(size int)
	headerSent()
	end(ctx context.Context, e ending)
}

// TagConn implements stats.Handler.
func (h *handler) TagConn(ctx context.Context, info *stats.ConnTagInfo) context.Context {
	return context.WithValue(ctx, connectionKey{}, newConnection(ctx, h.connections, info))
}

// HandleConn implements stats.Handler.
func (h *handler) HandleConn(ctx context.Context, s stats.ConnStats) {
	c, _ := ctx.Value(connectionKey{}).(*connection)
	if c == nil || s.IsClient() {
		return
	}
	switch s.(type) {
	case *stats.ConnBegin:
		c.open()
	case *stats.ConnEnd:
		c.end()
	}
}

// TagRPC implements stats.Handler.
func (h *handler) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	c, _ := ctx.Value(connectionKey{}).(*connection)
	if c == nil { // below another handler that does not pass the context on
		c = new(connection)
	}
	return context.WithValue(ctx, rpcKey{}, &rpc{method: info.FullMethodName, connection: c})
}

// HandleRPC implements stats.Handler.
func (h *handler) HandleRPC(ctx context.Context, s stats.RPCStats) {
	r, _ := ctx.Value(rpcKey{}).(*rpc)
	if r == nil || s.IsClient() {
		return
	}
	switch s := s.(type) {
	case *stats.InHeader:
		r.header = carrier(s.Header)
		return
	case *stats.Begin:
		h.begin(ctx, r, s)
		return
	case *stats.OutTrailer:
		r.answered.Store(true)
		if r.observed == nil {
			h.refuseUnknown(ctx, r)
		}
		return
	}
	if r.observed == nil {
		return
	}
	switch s := s.(type) {
	case *stats.InPayload:
		r.observed.received(ctx, s.Length)
	case *stats.OutHeader:
		r.observed.headerSent()
	case *stats.OutPayload:
		r.observed.sent(s.Length)
	case *stats.End:
		e := endingOf(ctx, r.answered.Load(), s.Error)
		r.observed.end(ctx, e)
		r.connection.leave(e)
	}
}

// begin begins to observe an RPC of a method that the server has.
func (h *handler) begin(ctx context.Context, r *rpc, s *stats.Begin) {
	r.connection.enter()
	if s.IsClientStream || s.IsServerStream {
		r.observed = newStream(ctx, h.streams, r, s.IsClientStream)
	} else {
		r.observed = &unary{session: r.connection.session, typ: r.connection.messageType(r.method), header: r.header}
	}
}

// refuseUnknown counts an RPC of a method that the server does not have, for which there is neither a Begin nor an End.
func (h *handler) refuseUnknown(ctx context.Context, r *rpc) {
	_, handshake := h.streams.BeginHandshake(ctx, instrument.Request{Host: r.header.authority(), Path: r.method, Header: r.header})
	handshake.Refused(instrument.StatusBadHandshake, 0, fmt.Errorf("unknown method %q", r.method))
}

// carrier holds the trace context in the metadata of an RPC.
type carrier metadata.MD

// Get returns the first value, as there should be only one.
func (c carrier) Get(key string) string {
	if values := metadata.MD(c).Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

// Set implements propagation.TextMapCarrier.
func (c carrier) Set(key, value string) { metadata.MD(c).Set(key, value) }

// Keys implements propagation.TextMapCarrier.
func (c carrier) Keys() []string {
	keys := make([]string, 0, len(c))
	for key := range c {
		keys = append(keys, key)
	}
	return keys
}

// authority is the host that the client wanted.
func (c carrier) authority() string { return hostname(c.Get(":authority")) }

func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}
