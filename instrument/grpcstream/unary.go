package grpcstream

import (
	"context"

	"google.golang.org/grpc/codes"

	"github.com/sockscope/sockscope/instrument"
)

// unary is a unary RPC: a message of its connection, whose handling ends with the RPC.
type unary struct {
	session *instrument.Conn
	typ     instrument.MessageType
	header  carrier
	message instrument.Message
	begun   bool
}

func (u *unary) received(ctx context.Context, size int) {
	// The context with the message's span cannot be handed on to the handler from here.
	_, u.message = u.session.BeginMessage(ctx, u.typ, size, u.header)
	u.begun = true
}

func (u *unary) sent(size int) { u.session.Sent(u.typ, size) }

func (u *unary) headerSent() {}

func (u *unary) end(ctx context.Context, e ending) {
	kind, failed := e.errorKind()
	if e.how == answered && (e.code == codes.Unavailable || e.code == codes.Unimplemented) {
		kind, failed = instrument.ErrorHandler, true
	}
	switch {
	case !failed:
		u.message.End(nil)
	case !u.begun && e.how == oversized:
		u.session.Failed(ctx, kind, e.err)
	case !u.begun: // the request could not be understood
		u.session.Failed(ctx, instrument.ErrorDecode, e.err)
	case kind == instrument.ErrorAuth || kind == instrument.ErrorPanic:
		u.message.End(nil)
		u.session.Failed(ctx, kind, e.err)
	default:
		u.message.End(e.err)
	}
}
