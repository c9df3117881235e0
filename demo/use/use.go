// Package use says what a use is: something that people do with the service, such as to chat. Each has a package of its
// own below this one. A use knows rooms, history and who is there, and the user who asks as a Peer: no session, no
// transport.
package use

import (
	"context"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/demo/room"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// Use is something that people do.
type Use interface {
	// Requests returns the types of the requests that the use handles. No other use handles them.
	Requests() []wire.Type
	// Begin begins the use for a peer, as soon as it is known who that is.
	Begin(p Peer) Visit
}

// Visit is one peer in one use. Its methods are called one at a time.
type Visit interface {
	// Handle does what a request asks for, and answers it unless it returns an error. A *wire.RefusalError is answered
	// for it, and is no error of the service unless it has a Cause.
	Handle(ctx context.Context, env *wire.Envelope) error
	// Renewed is called after the peer has brought a newer token, which may open less than the one before.
	Renewed()
	// End takes the peer out of the use, when its connection has ended.
	End()
}

// Peer is somebody who is connected.
type Peer interface {
	room.Member
	// Identity returns who that is.
	Identity() auth.Identity
	// Observed returns the observation of the connection.
	Observed() *instrument.Conn
}

// Answer sends a peer a frame that names the trace it belongs to, if there is one to be found.
func Answer(ctx context.Context, p Peer, typ wire.Type, id string, payload any) {
	f, err := observe.NewFrame(ctx, typ, id, payload)
	if err != nil {
		p.Observed().Failed(ctx, instrument.ErrorHandler, err)
		return
	}
	p.Deliver(f, nil)
}

// Succeed answers a request that was fulfilled.
func Succeed(ctx context.Context, p Peer, id string, ack wire.AckPayload) {
	ack.Success = true
	Answer(ctx, p, wire.TypeAck, id, ack)
}

// Send sends a peer something that answers nothing.
func Send(p Peer, typ wire.Type, payload any) {
	if f, err := wire.NewFrame(typ, "", payload); err == nil { // payloads of the protocol can be encoded
		p.Deliver(f, nil)
	}
}
