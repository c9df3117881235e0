package grpcstream

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"

	"github.com/sockscope/sockscope/instrument"
)

// unary is a unary RPC: a message of its connection, whose handling ends with the RPC. It gets no span here: otelgrpc
// traces RPCs.
type unary struct {
	conn  *instrument.Conn
	typ   instrument.MessageType
	size  int
	begun time.Time // zero until the request has been read
}

func (u *unary) received(p *stats.InPayload) { u.size, u.begun = p.Length, p.RecvTime }

func (u *unary) sent(size int) { u.conn.Sent(u.typ, size) }

func (u *unary) headerSent() {}

func (u *unary) end(ctx context.Context, e ending) {
	kind, failed := e.errorKind()
	if e.how == answered && (e.code == codes.Unavailable || e.code == codes.Unimplemented) {
		kind, failed = instrument.ErrorHandler, true
	}
	var handling error
	switch {
	case !failed:
	case u.begun.IsZero(), kind != instrument.ErrorHandler:
		u.conn.Failed(ctx, kind, e.err)
	default:
		handling = e.err
	}
	if !u.begun.IsZero() {
		u.conn.Handled(ctx, u.typ, u.size, e.at.Sub(u.begun), handling)
	}
}
