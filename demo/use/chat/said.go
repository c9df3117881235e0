package chat

import (
	"context"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// Said returns the first messages of a room after a sequence number or, without one, the newest. It reports false if
// the next message after that number is not kept any more, or the room counts from 1 again. It is for clients that are
// not in the room: they ask again and again, and nobody sees them come or go.
func (c *Chat) Said(ctx context.Context, room string, after *uint64) (piece wire.HistoryPayload, kept bool, err error) {
	piece, err = c.piece(ctx, wire.HistoryRequest{Room: room, After: after, Limit: wire.MaxHistory})
	switch {
	case err != nil || after == nil:
		return piece, true, err
	case len(piece.Messages) > 0:
		return piece, piece.Messages[0].Seq-*after == 1, nil
	}
	last, err := c.cfg.History.LastSeq(ctx, room)
	return piece, *after <= last, err
}

// Post says something on behalf of a user who need not be in the room, and returns how it was saved. The caller has
// checked the id and the payload. A message that was saved is delivered even if ctx ends meanwhile.
func (c *Chat) Post(ctx context.Context, who auth.Identity, id string, p wire.MessagePayload) (wire.AckPayload, error) {
	if !who.MayEnter(p.Room) {
		return wire.AckPayload{}, &wire.RefusalError{Code: wire.CodeForbidden, Reason: "your token does not open this room"}
	}
	saved, err := c.save(ctx, said(ctx, who.User, id, p))
	if err != nil {
		return wire.AckPayload{}, unavailable(err)
	}
	if err := c.cfg.Cluster.Deliver(context.WithoutCancel(ctx), saved); err != nil {
		return wire.AckPayload{}, unavailable(err) // to say it again is safe, and delivers it
	}
	return wire.AckPayload{Success: true, SavedID: saved.SavedID, Seq: saved.Seq}, nil
}

// Watch returns a channel that has a value soon after something was said in a room, until stop is called.
func (c *Chat) Watch(ctx context.Context, room string) (said <-chan struct{}, stop func(), err error) {
	w := make(watcher, 1)
	if _, err := c.cfg.Rooms.Join(ctx, room, w); err != nil {
		return nil, nil, err
	}
	return w, func() { c.cfg.Rooms.Leave(room, w) }, nil
}

// watcher is a member of a room who wants to know that something was said, but not what.
type watcher chan struct{}

// Deliver implements room.Member.
func (w watcher) Deliver(f *wire.Frame, _ *instrument.Broadcast) {
	if f.Type != wire.TypeMessage {
		return
	}
	select {
	case w <- struct{}{}:
	default: // told already
	}
}
