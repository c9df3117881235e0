package chat

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/sockscope/sockscope/demo/use"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

const (
	// listed is how many users are named to who joins, and how many who have read.
	listed = 100
	// mostRounds bounds how often a client that comes back is given what was said while it got what it had missed,
	// before the room waits for it.
	mostRounds = 10
)

func (v *visit) join(ctx context.Context, env *wire.Envelope) error {
	p, err := env.Join()
	if err != nil {
		return err
	}
	_, in := v.rooms[p.Room]
	switch limit := v.cfg.RoomsPerPeer; {
	case !v.peer.Identity().MayEnter(p.Room):
		return &wire.RefusalError{Code: wire.CodeForbidden, Reason: "your token does not open this room"}
	case !in && len(v.rooms) >= limit:
		return &wire.RefusalError{Code: wire.CodeTooManyRooms,
			Reason: fmt.Sprintf("a connection may be in %d rooms; leave one first", limit)}
	}
	enter := v.enterRoom
	if in {
		enter = v.enterAgain
	}
	seq, err := enter(ctx, p)
	if err != nil {
		return err
	}
	v.welcomeTo(ctx, p.Room, seq, env.MessageID)
	return nil
}

// enterRoom joins the room, from which on messages are delivered, and tells those who are there before.
func (v *visit) enterRoom(ctx context.Context, p wire.JoinPayload) (seq uint64, err error) {
	user := v.peer.Identity().User
	if err := v.cfg.Cluster.Enter(p.Room, user); err != nil {
		return 0, &wire.RefusalError{Code: wire.CodeServerFull, Reason: "there is no place for another user in a room"}
	}
	if seq, err = v.joinRoom(ctx, p); err != nil {
		v.cfg.Cluster.Leave(p.Room, user)
		return 0, unavailable(err)
	}
	if v.rooms == nil {
		v.rooms = make(map[string]struct{}, 1)
	}
	v.rooms[p.Room] = struct{}{}
	return seq, nil
}

// enterAgain gives a client that is in the room already the messages that it has missed until now. It gets messages
// that come in between twice.
func (v *visit) enterAgain(ctx context.Context, p wire.JoinPayload) (seq uint64, err error) {
	seq = v.cfg.Rooms.Seq(p.Room)
	if p.After == nil {
		return seq, nil
	}
	after := *p.After
	for round := 0; round < mostRounds && after < seq; round++ {
		if after, err = v.sendMissed(ctx, p.Room, after); err != nil {
			return 0, unavailable(err)
		}
	}
	return seq, nil
}

// joinRoom gives a client that has said what it knows all that it has missed, and then joins the room. One that is too
// far behind has to ask for the rest.
func (v *visit) joinRoom(ctx context.Context, p wire.JoinPayload) (seq uint64, err error) {
	rooms := v.cfg.Rooms
	if p.After == nil {
		return rooms.Join(ctx, p.Room, v.peer)
	}
	after := *p.After
	for range mostRounds {
		seq, joined, err := rooms.JoinAfter(ctx, p.Room, v.peer, after)
		if err != nil || joined {
			return seq, err
		}
		if after, err = v.sendMissed(ctx, p.Room, after); err != nil {
			return 0, err
		}
	}
	return rooms.JoinHolding(ctx, p.Room, v.peer, after, func(after uint64) (uint64, error) {
		return v.sendMissed(ctx, p.Room, after)
	})
}

func (v *visit) sendMissed(ctx context.Context, room string, after uint64) (last uint64, err error) {
	return v.sendHistory(ctx, wire.HistoryRequest{Room: room, After: &after, Limit: wire.MaxHistory}, "")
}

// welcomeTo tells who has joined a room who is there, and acknowledges where it has joined. Messages may have been
// delivered since: how far the room is, is said at the place among them where that is so.
func (v *visit) welcomeTo(ctx context.Context, room string, seq uint64, id string) {
	users, count := v.cfg.Cluster.Users(room, listed)
	reads, err := v.cfg.History.Reads(ctx, room)
	if err != nil {
		v.peer.Observed().Failed(ctx, instrument.ErrorHandler, err) // receipts are not worth failing for
	}
	p := wire.RoomUsersPayload{Room: room, Users: users, Count: count, Read: furthest(reads)}
	v.cfg.Rooms.Mark(room, func(last uint64) {
		p.Seq = last
		use.Answer(ctx, v.peer, wire.TypeRoomUsers, "", p)
	})
	use.Succeed(ctx, v.peer, id, wire.AckPayload{Seq: seq})
}

// furthest returns the marks that are furthest ahead, as many as are listed.
func furthest(reads map[string]uint64) map[string]uint64 {
	if len(reads) <= listed {
		return reads
	}
	users := slices.SortedFunc(maps.Keys(reads), func(a, b string) int {
		return cmp.Or(cmp.Compare(reads[b], reads[a]), cmp.Compare(a, b))
	})
	ahead := make(map[string]uint64, listed)
	for _, user := range users[:listed] {
		ahead[user] = reads[user]
	}
	return ahead
}
