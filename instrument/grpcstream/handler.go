package grpcstream

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"

	"github.com/sockscope/sockscope/instrument"
)

// The protocols of the two observers, for instrument.WithProtocol.
const (
	// Protocol is the protocol of streams, whose metrics are called grpc_stream_connections_total and so on.
	Protocol = "grpc_stream"
	// ConnectionProtocol is the protocol of HTTP/2 connections, whose metrics are called grpc_connections_total and so
	// on.
	ConnectionProtocol = "grpc"
)

// Config holds the observers of a gRPC server.
type Config struct {
	// Streams observes streaming RPCs. Its protocol must be Protocol. If it is nil, streaming RPCs are not observed.
	Streams *instrument.Observer
	// Connections observes HTTP/2 connections, and counts unary RPCs as their messages. Its protocol must be
	// ConnectionProtocol. If it is nil, connections and unary RPCs are not observed.
	Connections *instrument.Observer
	// Credentials are the server's credentials, as for grpc.Creds. The default is none.
	Credentials credentials.TransportCredentials
}

// A Handler observes one gRPC server. A nil Handler observes nothing.
type Handler struct {
	config  Config
	options []grpc.ServerOption
}

// New returns a Handler, or an error if an observer has the wrong protocol.
func New(c Config) (*Handler, error) {
	for _, o := range []struct {
		field, protocol, constant string
		observer                  *instrument.Observer
	}{
		{"Streams", Protocol, "Protocol", c.Streams},
		{"Connections", ConnectionProtocol, "ConnectionProtocol", c.Connections},
	} {
		if protocol := o.observer.Protocol(); protocol != "" && protocol != o.protocol {
			return nil, fmt.Errorf("grpcstream: the protocol of Config.%s is %q: make that observer with instrument.WithProtocol(grpcstream.%s)",
				o.field, protocol, o.constant)
		}
	}
	h := &handler{streams: c.Streams, connections: c.Connections}
	return &Handler{
		config: c,
		options: []grpc.ServerOption{
			grpc.StatsHandler(h), grpc.Creds(newFollowing(c.Credentials, &h.wires)),
			grpc.ChainStreamInterceptor(interceptStream), grpc.ChainUnaryInterceptor(interceptUnary),
		},
	}, nil
}

// ServerOptions returns the options for grpc.NewServer: a stats.Handler, chained interceptors, and Config.Credentials.
// Do not use grpc.Creds with them. Your own interceptors may come before or after. Observing costs a few allocations
// per RPC, and none per message.
func (h *Handler) ServerOptions() []grpc.ServerOption {
	if h == nil {
		return nil
	}
	return slices.Clone(h.options)
}

// Shutdown stops the server gracefully. It sets both observers draining, makes the server refuse new RPCs, asks the
// handlers of streams to return by the functions they gave to Conn.OnDrain, and waits for all RPCs to end. If ctx ends
// first, Shutdown cuts the remaining RPCs by Server.Stop and returns an error that wraps the error of ctx.
func (h *Handler) Shutdown(ctx context.Context, server *grpc.Server) error {
	var c Config
	if h != nil {
		c = h.config
	}
	c.Streams.SetDraining(true)
	c.Connections.SetDraining(true)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		server.GracefulStop()
	}()
	err := c.Streams.Drain(ctx)
	if err == nil {
		select {
		case <-stopped:
			return nil
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	server.Stop()
	<-stopped
	return fmt.Errorf("grpcstream: shutdown: RPCs were still under way: %w", err)
}

// Observed returns the Conn of the streaming RPC to which ctx belongs. Use it to note what only the application knows,
// such as the messages that its queues drop, to get the id for log records, and to end the stream when the server
// drains. Call it in handlers, not in interceptors that may still refuse the RPC, because it opens the stream. In a
// unary RPC, and in an RPC that is not observed, it returns nil, whose methods do nothing.
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

type handler struct {
	streams, connections *instrument.Observer
	wires                wires
}

type (
	connectionKey struct{}
	rpcKey        struct{}
)

// rpc holds the state of an RPC from its beginning to its end.
type rpc struct {
	method     string
	connection *connection
	header     carrier
	observed   observed    // nil before Begin, and if the RPC is not observed
	answered   atomic.Bool // the status was sent
	guard      guard
}

// observed is an RPC that is under way.
type observed interface {
	received(p *stats.InPayload)
	sent(size int)
	headerSent()
	end(ctx context.Context, e ending)
}

func (r *rpc) end(ctx context.Context, e ending) { r.observed.end(ctx, e) }

// TagConn implements stats.Handler.
func (h *handler) TagConn(ctx context.Context, info *stats.ConnTagInfo) context.Context {
	return context.WithValue(ctx, connectionKey{}, newConnection(ctx, h.connections, info, h.wires.take(info.RemoteAddr)))
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
	if c == nil { // another stats.Handler has not passed the context on
		c = new(connection)
	}
	return context.WithValue(ctx, rpcKey{}, &rpc{method: info.FullMethodName, connection: c, guard: guard{ctx: ctx}})
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
		r.observed.received(s)
	case *stats.OutHeader:
		r.observed.headerSent()
	case *stats.OutPayload:
		r.observed.sent(s.Length)
	case *stats.End:
		r.connection.leave(ctx, r, endingOf(ctx, r, s))
	}
}

// begin begins to observe an RPC of a method that the server has.
func (h *handler) begin(ctx context.Context, r *rpc, s *stats.Begin) {
	r.connection.enter()
	if s.IsClientStream || s.IsServerStream {
		r.observed = newStream(ctx, h.streams, r, s.IsClientStream)
	} else {
		r.observed = &unary{conn: r.connection.observed, typ: r.connection.messageType(r.method)}
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

// authority is the host that the client asked for.
func (c carrier) authority() string { return c.Get(":authority") }
