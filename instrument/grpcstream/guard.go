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

// A guard wraps the handler of an RPC and notes facts that can't be found out afterwards: gRPC cancels the context of
// every RPC when it sends the status, and may send a status to a client that is gone.
type guard struct {
	ctx    context.Context       //nolint:containedctx // the RPC's, which ends when the client is gone
	gone   bool                  // the client was gone when the handler returned
	panics bool                  // the handler has panicked, which is counted
	failed atomic.Pointer[error] // with which gRPC ended the RPC before the handler returned
}

// guarded is a ServerStream that notes its failures. gRPC answers the client with the first failure, whatever the
// handler returns.
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

// failure returns the error with which gRPC has ended the RPC, or nil.
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
	defer r.unwind()
	err := handler(srv, &guarded{ss, &r.guard})
	r.guard.returned()
	return err
}

// unwind counts a panic of a stream's handler and lets it go on. It is deferred: if another interceptor recovers, the
// status does not say that there was a panic.
func (r *rpc) unwind() {
	v := recover()
	if v == nil {
		return
	}
	if s, ok := r.observed.(*stream); ok {
		r.guard.panics = true
		s.panicked(r.guard.ctx, v)
	}
	panic(v) //nolint:forbidigo // the handler's own panic goes on as if it had not been observed
}

func interceptUnary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	reply, err := handler(ctx, request)
	if r, ok := ctx.Value(rpcKey{}).(*rpc); ok {
		r.guard.returned()
	}
	return reply, err
}
