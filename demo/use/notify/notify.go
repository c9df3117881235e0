// Package notify is telling a user something on all of that user's connections, wherever they are.
package notify

import (
	"context"

	"github.com/sockscope/sockscope/demo/cluster"
	"github.com/sockscope/sockscope/demo/room"
	"github.com/sockscope/sockscope/demo/use"
	"github.com/sockscope/sockscope/demo/wire"
)

// Notifications is the use.
type Notifications struct {
	topics  *room.Topics
	cluster *cluster.Cluster
}

// New returns notifications, which the cluster carries and topics holds who gets them.
func New(topics *room.Topics, c *cluster.Cluster) *Notifications { return &Notifications{topics, c} }

// Requests implements use.Use.
func (*Notifications) Requests() []wire.Type { return []wire.Type{wire.TypeNotify} }

// Begin implements use.Use: from now on the peer is notified.
func (n *Notifications) Begin(p use.Peer) use.Visit {
	v := &visit{n, p}
	n.topics.Subscribe(v.topic(), p)
	return v
}

// visit is a peer that can be notified.
type visit struct {
	*Notifications
	peer use.Peer
}

func (v *visit) topic() string { return room.UserTopic(v.peer.Identity().User) }

// Handle implements use.Visit.
func (v *visit) Handle(ctx context.Context, env *wire.Envelope) error {
	p, err := env.Notify()
	if err != nil {
		return err
	}
	n := wire.NotificationPayload{From: v.peer.Identity().User, Text: p.Text}
	if err := v.cluster.Notify(ctx, p.User, wire.TypeNotification, env.MessageID, n); err != nil {
		return err
	}
	use.Succeed(ctx, v.peer, env.MessageID, wire.AckPayload{})
	return nil
}

// Renewed implements use.Visit: a newer token is of the same user.
func (*visit) Renewed() {}

// End implements use.Visit.
func (v *visit) End() { v.topics.Unsubscribe(v.topic(), v.peer) }
