// Package grpc is the demo over gRPC, in all four kinds of calls: SendMessage says something, SubscribeMessages
// listens, UploadLogs sends log records, and Chat does what a WebSocket does. A Chat and a SubscribeMessages are
// connections with a session. The other two have none, and nobody in a room sees them come or go.
package grpc

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/net/netutil"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/sockscope/sockscope/demo/admission"
	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/observe"
	chatv1 "github.com/sockscope/sockscope/demo/proto/sockscope/chat/v1"
	"github.com/sockscope/sockscope/demo/session"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/grpcstream"
)

const (
	// streamsPerConnection is how many RPCs one HTTP/2 connection may have at once.
	streamsPerConnection = 100
	// maxForEverybody is how many streams of health and reflection there may be at once.
	maxForEverybody = 100
	// maxMetadataBytes bounds what a client sends ahead of an RPC: twice the longest token.
	maxMetadataBytes = 2 * wire.MaxTokenBytes
	// idleTimeout closes connections without RPCs.
	idleTimeout = 2 * time.Minute
	// pingsApart is how often clients may ping.
	pingsApart = 10 * time.Second
	// readyEvery is how often health is looked at.
	readyEvery = 2 * time.Second
	// lingering is how long clients have to read the last statuses, when all sessions have ended.
	lingering = time.Second
)

// Post says something on behalf of a user who need not be in the room, and returns how it was saved.
type Post = func(ctx context.Context, who auth.Identity, id string, p wire.MessagePayload) (wire.AckPayload, error)

// Config is what a Server works with.
type Config struct {
	Gate     admission.Gate
	Sessions session.Opener
	Post     Post
	// Ready returns an error that says what keeps this node from serving, or nil.
	Ready func(context.Context) error

	// Streams and Connections observe streaming RPCs and HTTP/2 connections, see the options of both.
	Streams, Connections *observe.Observer
	TracerProvider       trace.TracerProvider // of unary RPCs; default: the global one
	SampleRatio          float64              // share of unary RPCs that get a span
	SpanLimit            int                  // of unary RPCs, per second
	Logger               *slog.Logger         // has the records that clients upload, too

	ConnectionLimit   int           // HTTP/2 connections that may be open at once
	HandshakeTimeout  time.Duration // of HTTP/2
	Heartbeat         time.Duration // between pings, and what the answer to one may take
	WriteTimeout      time.Duration // for one frame
	RoomsPerSession   int
	MessagesPerSecond float64 // of one HTTP/2 connection outside of its sessions, in the long run
	MessageBurst      int     // of one HTTP/2 connection outside of its sessions, at once
}

// StreamOptions and ConnectionOptions are the options of the two observers.
func StreamOptions() []instrument.Option {
	return []instrument.Option{instrument.WithProtocol(grpcstream.Protocol), grpcstream.WithMethods(
		chatv1.ChatService_SubscribeMessages_FullMethodName, chatv1.ChatService_UploadLogs_FullMethodName,
		chatv1.ChatService_Chat_FullMethodName, healthv1.Health_Watch_FullMethodName,
	)}
}

// ConnectionOptions are those of Config.Connections.
func ConnectionOptions() []instrument.Option {
	return []instrument.Option{instrument.WithProtocol(grpcstream.ConnectionProtocol), grpcstream.WithMethods(
		chatv1.ChatService_SendMessage_FullMethodName, chatv1.ChatService_SubscribeMessages_FullMethodName,
		chatv1.ChatService_UploadLogs_FullMethodName, chatv1.ChatService_Chat_FullMethodName,
		healthv1.Health_Check_FullMethodName, healthv1.Health_Watch_FullMethodName,
	)}
}

// Server serves gRPC.
type Server struct {
	chatv1.UnimplementedChatServiceServer
	cfg Config

	grpc     *grpc.Server
	observed *grpcstream.Handler
	health   *health.Server

	everybody chan struct{} // a place for each stream that needs no token

	live    context.Context // ends when every RPC has to be gone
	kill    context.CancelFunc
	drained chan struct{} // closed when a drain has ended
}

// New returns a server, see Serve.
func New(cfg Config) (*Server, error) {
	observed, err := grpcstream.New(grpcstream.Config{Streams: cfg.Streams.Observer, Connections: cfg.Connections.Observer})
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, observed: observed, health: health.NewServer(), drained: make(chan struct{}),
		everybody: make(chan struct{}, maxForEverybody),
	}
	s.live, s.kill = context.WithCancel(context.Background())
	s.grpc = grpc.NewServer(s.options()...)
	chatv1.RegisterChatServiceServer(s.grpc, s)
	healthv1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	s.setHealth(healthv1.HealthCheckResponse_NOT_SERVING) // until Run has looked
	return s, nil
}

func (s *Server) options() []grpc.ServerOption {
	// In this order, so that panics are observed before they are recovered from, and RPCs that are turned away, too.
	options := []grpc.ServerOption{grpc.ChainStreamInterceptor(recoverStream), grpc.ChainUnaryInterceptor(s.recoverUnary)}
	options = append(options, s.observed.ServerOptions()...)
	return append(options,
		grpc.ChainStreamInterceptor(s.admitStream), grpc.ChainUnaryInterceptor(s.admitUnary),
		grpc.StatsHandler(limits{rate.Limit(s.cfg.MessagesPerSecond), s.cfg.MessageBurst}),
		grpc.StatsHandler(newTracing(s.cfg)),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxRecvMsgSize(wire.MaxFrameBytes), grpc.MaxHeaderListSize(maxMetadataBytes),
		grpc.MaxConcurrentStreams(streamsPerConnection), grpc.ConnectionTimeout(s.cfg.HandshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: s.cfg.Heartbeat, Timeout: s.cfg.Heartbeat, MaxConnectionIdle: idleTimeout,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingsApart, PermitWithoutStream: true}),
	)
}

// recoverStream is a grpc.StreamServerInterceptor: one stream's panic is not the others'. It has been counted and
// logged.
func recoverStream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	defer func() {
		if recover() != nil {
			err = failure(codes.Internal, "internal", "the server has failed: open the stream again")
		}
	}()
	return handle(srv, stream)
}

// recoverUnary is a grpc.UnaryServerInterceptor.
func (s *Server) recoverUnary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (_ any, err error) {
	defer func() {
		if v := recover(); v != nil {
			s.cfg.Logger.ErrorContext(ctx, "panic", "error", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = failure(codes.Internal, "internal", "the server has failed: try again")
		}
	}()
	return handle(ctx, request)
}

// Serve serves connections until Stop, and closes the listener.
func (s *Server) Serve(l net.Listener) error {
	if err := s.grpc.Serve(netutil.LimitListener(l, s.cfg.ConnectionLimit)); err != nil {
		return fmt.Errorf("serve gRPC: %w", err)
	}
	return nil
}

// Run keeps the health service up to date until ctx ends.
func (s *Server) Run(ctx context.Context) {
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		state := healthv1.HealthCheckResponse_SERVING
		if err := s.cfg.Ready(ctx); err != nil {
			state = healthv1.HealthCheckResponse_NOT_SERVING
		}
		s.setHealth(state)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// setHealth sets the state of the service, and of all that there is, which have no name.
func (s *Server) setHealth(state healthv1.HealthCheckResponse_ServingStatus) {
	for _, service := range []string{"", chatv1.ChatService_ServiceDesc.ServiceName} {
		s.health.SetServingStatus(service, state)
	}
}

// Drain sends clients away: the service is not healthy any more, connections get a GOAWAY and accept no new RPCs, and
// uploads end. Streams with a session are the sessions' to end. It returns at once, see Stop.
func (s *Server) Drain() {
	s.health.Shutdown()
	go func() {
		defer close(s.drained)
		_ = s.observed.Shutdown(s.live, s.grpc) // an error means that Stop has cut off somebody
	}()
}

// Stop ends what is left some time after the sessions have ended: who watches health, and connections whose clients
// don't read. Call it after Drain.
func (s *Server) Stop() {
	select {
	case <-s.drained:
	case <-time.After(lingering):
	}
	s.kill()
	<-s.drained
}
