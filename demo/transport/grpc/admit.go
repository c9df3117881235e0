package grpc

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"

	"github.com/sockscope/sockscope/demo/admission"
	"github.com/sockscope/sockscope/demo/auth"
)

// forEverybody begins the names of methods that need no token: health and reflection.
const forEverybody = "/grpc."

// callerKey is that of the caller's identity in an RPC's context.
type callerKey struct{}

func caller(ctx context.Context) auth.Identity {
	who, _ := ctx.Value(callerKey{}).(auth.Identity)
	return who
}

// admitStream is a grpc.StreamServerInterceptor. It has a stream keep its place until it has ended.
func (s *Server) admitStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if strings.HasPrefix(info.FullMethod, forEverybody) {
		return s.admitEverybody(srv, stream, handle)
	}
	ctx, release, err := s.enter(stream.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	defer release()
	return handle(srv, admitted{stream, ctx})
}

// admitEverybody lets in a few streams that need no token. They take no place from anybody, and no drain waits for
// them.
func (s *Server) admitEverybody(srv any, stream grpc.ServerStream, handle grpc.StreamHandler) error {
	select {
	case s.everybody <- struct{}{}:
		defer func() { <-s.everybody }()
		return handle(srv, stream)
	default:
		return turnedAway(admission.Full())
	}
}

// admitted is a stream whose caller is known.
type admitted struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // the stream's
}

// Context implements grpc.ServerStream.
func (a admitted) Context() context.Context { return a.ctx }

// admitUnary is a grpc.UnaryServerInterceptor. It lets everybody ask for health: a full server is no sick one.
func (s *Server) admitUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if strings.HasPrefix(info.FullMethod, forEverybody) {
		return handle(ctx, request)
	}
	ctx, release, err := s.enter(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	defer release()
	return handle(ctx, request)
}

// enter lets an RPC in, until release.
func (s *Server) enter(ctx context.Context, method string) (_ context.Context, release func(), _ error) {
	release, who, refusal := s.cfg.Gate.Enter(ctx, requestOf(ctx, method))
	if refusal == nil && who.User == "" {
		release()
		refusal = admission.NoToken()
	}
	if refusal != nil {
		return nil, nil, turnedAway(refusal)
	}
	return context.WithValue(ctx, callerKey{}, who), release, nil
}

// requestOf returns an RPC as the gate knows requests.
func requestOf(ctx context.Context, method string) *http.Request {
	r := &http.Request{Method: http.MethodPost, URL: &url.URL{Path: method}, Header: make(http.Header)}
	if p, ok := peer.FromContext(ctx); ok {
		r.RemoteAddr = p.Addr.String()
	}
	for _, name := range []string{"Authorization", "Origin", "X-Forwarded-For"} {
		if values := metadata.ValueFromIncomingContext(ctx, name); len(values) > 0 {
			r.Header[name] = values
		}
	}
	if values := metadata.ValueFromIncomingContext(ctx, ":authority"); len(values) > 0 {
		r.Host = values[0]
	}
	return r
}

// limits gives every HTTP/2 connection a limiter for the messages and log records that come on it outside of sessions.
// It is a stats.Handler.
type limits struct {
	perSecond rate.Limit
	burst     int
}

type limiterKey struct{}

// allow reports whether the connection of an RPC may bring something now.
func allow(ctx context.Context) bool {
	limiter, ok := ctx.Value(limiterKey{}).(*rate.Limiter)
	return ok && limiter.Allow()
}

// TagConn implements stats.Handler.
func (l limits) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	return context.WithValue(ctx, limiterKey{}, rate.NewLimiter(l.perSecond, l.burst))
}

// HandleConn implements stats.Handler.
func (limits) HandleConn(context.Context, stats.ConnStats) {}

// TagRPC implements stats.Handler.
func (limits) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements stats.Handler.
func (limits) HandleRPC(context.Context, stats.RPCStats) {}
