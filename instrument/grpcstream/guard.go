package grpcstream

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A guard notes around the handler of an RPC what nobody can tell afterwards: gRPC cancels the context of every RPC when it
// sends the status, and may send one to a client that is gone.
type guard struct {
	ctx    context.Context       //nolint:containedctx // the RPC's own, which ends when the client is gone
	gone   bool                  // so was the client when the handler returned
	failed atomic.Pointer[error] // what gRPC has ended the RPC with before the handler returned
}

// guarded is a ServerStream whose failures are noted. gRPC answers the client with the first one, whatever the handler
// returns.
type guarded struct {
	grpc.ServerStream
	guard *guard
}

// RecvMsg implements grpc.ServerStream.
func (s *guarded) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if err != nil {
		s.guard.fail(err)
	}
	return err //nolint:wrapcheck // as if it were not guarded
}

// SendMsg implements grpc.ServerStream.
func (s *guarded) SendMsg(m any) error {
	err := s.ServerStream.SendMsg(m)
	if err != nil {
		s.guard.fail(err)
	}
	return err //nolint:wrapcheck // as if it were not guarded
}

func (g *guard) fail(err error) {
	if !errors.Is(err, io.EOF) {
		g.failed.CompareAndSwap(nil, &err)
	}
}

// failure returns what gRPC has ended the RPC with, or nil.
func (g *guard) failure() error {
	if err := g.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// returned is called when the handler has returned.
func (g *guard) returned() { g.gone = g.failure() == nil && g.ctx.Err() != nil }

// left says whether the client was gone before the RPC was answered.
func (g *guard) left() bool {
	switch status.Code(g.failure()) {
	case codes.Canceled, codes.DeadlineExceeded:
		return true
	default:
		return g.gone
	}
}

func interceptStream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	r, ok := ss.Context().Value(rpcKey{}).(*rpc)
	if !ok { // the context of another interceptor
		return handler(srv, ss)
	}
	err := handler(srv, &guarded{ss, &r.guard})
	r.guard.returned()
	return err
}

func interceptUnary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	reply, err := handler(ctx, request)
	if r, ok := ctx.Value(rpcKey{}).(*rpc); ok {
		r.guard.returned()
	}
	return reply, err
}
