package cluster

import (
	"context"

	"github.com/sockscope/sockscope/demo/presence"
	"github.com/sockscope/sockscope/demo/room"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// Enter counts a connection of a user's in a room. The room's members everywhere are told when it is the first.
func (c *Cluster) Enter(room, user string) error { return c.presence.Enter(room, user) }

// Leave takes back what Enter has counted. The room's members everywhere are told when it was the last.
func (c *Cluster) Leave(room, user string) { c.presence.Leave(room, user) }

// Users returns the users in a room on all nodes, of which at most limit are listed and all are counted.
func (c *Cluster) Users(room string, limit int) (users []string, count int) {
	return c.presence.Users(room, limit)
}

// crowded reports whether so many users are in a room that they are no longer told who comes and goes, types and reads.
func (c *Cluster) crowded(room string) bool {
	_, users := c.presence.Users(room, 0)
	return users > crowd
}

// tell hands something that is no message to the members of a room on this node, except to one, unless they are too
// many: a single user may have any number of connections.
func (c *Cluster) tell(name string, f *wire.Frame, b *instrument.Broadcast, except room.Member) {
	if c.cfg.Rooms.Members(name) <= crowd {
		c.cfg.Rooms.Publish(name, f, b, except)
	}
}

// presenceChanged tells the members of a room on this node who has come or gone, wherever that was.
func (c *Cluster) presenceChanged(change presence.Change) {
	if c.crowded(change.Room) {
		return
	}
	typ := wire.TypeLeft
	if change.Joined {
		typ = wire.TypeJoined
	}
	f, err := wire.NewFrame(typ, "", wire.PresencePayload{Room: change.Room, User: change.User})
	if err == nil { // payloads of the protocol can be encoded
		c.tell(change.Room, f, nil, nil)
	}
}

func (c *Cluster) publishPresence(ctx context.Context, data []byte) error {
	if c.bus == nil {
		return nil
	}
	return c.bus.Publish(ctx, channelPresence, data)
}
