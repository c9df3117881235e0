// Package cluster joins the nodes of the service: who is in which room on any of them, and what all of a room's members
// are told wherever they are. A node that is the only one is a cluster, too. What is said between nodes only triggers:
// messages are in the history, and a node that finds that it has missed some reads them there.
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/demo/presence"
	"github.com/sockscope/sockscope/demo/room"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/backplane"
)

// Backplane is what the demo's telemetry calls the connection to the other nodes.
const Backplane = "redis"

// The channels that the nodes share.
const (
	channelRooms    = "sockscope.rooms"
	channelPresence = "sockscope.presence"
)

const (
	// retryEvery is how often what may have failed is tried again.
	retryEvery     = time.Second
	catchUpTimeout = 10 * time.Second
	// crowd is how many users may be in a room, and how many connections on one node, that are told who comes and goes,
	// types and reads: when all of a room do so, as after each message, that costs the square of its size in notices.
	crowd = 64
)

// Bus carries what nodes tell each other. A *backplane.Backplane is one.
type Bus interface {
	Subscribe(ctx context.Context, channels ...string) error
	Publish(ctx context.Context, channel string, payload []byte) error
	Run(ctx context.Context, handle func(context.Context, backplane.Message)) error
	Ready(ctx context.Context) error
}

// Config says what a cluster joins.
type Config struct {
	Node string // this node's name
	// NodeTimeout is after what time without a sign of life another node is given up.
	NodeTimeout time.Duration
	Rooms       *room.Rooms
	Topics      *room.Topics
	Observer    *observe.Observer // counts broadcasts and what other nodes say
	Logger      *slog.Logger
	// Connect makes what connects the nodes. Default: this node is the only one.
	Connect func(...backplane.Option) (Bus, error)
}

// Cluster is all nodes, as one of them sees them.
type Cluster struct {
	cfg      Config
	bus      Bus // nil if this node is the only one
	presence *presence.Presence

	// live ends when Run is told to.
	live context.Context
	kill context.CancelFunc

	mu     sync.Mutex
	newest map[string]uint64 // sequence numbers by room, of which the others are yet to be reminded
}

// announcement is what nodes tell each other on channelRooms: a message of a room, a frame for a room or a user, or
// only how far a room is.
type announcement struct {
	Room    string           `json:"room,omitempty"`
	User    string           `json:"user,omitempty"`
	Seq     uint64           `json:"seq,omitempty"`
	Message *history.Message `json:"message,omitempty"`
	Type    wire.Type        `json:"type,omitempty"`
	Frame   json.RawMessage  `json:"frame,omitempty"`
}

// New returns the cluster that this node is part of once it runs.
func New(cfg Config) (*Cluster, error) {
	c := &Cluster{cfg: cfg, newest: make(map[string]uint64)}
	c.live, c.kill = context.WithCancel(context.Background())
	var err error
	c.presence, err = presence.New(presence.Config{
		Node: cfg.Node, Publish: c.publishPresence, Changed: c.presenceChanged,
		Lost:      cfg.Rooms.Doubt, // a node may end between saving a message and telling of it
		Heartbeat: cfg.NodeTimeout / 3, DeadAfter: cfg.NodeTimeout,
	})
	if err != nil || cfg.Connect == nil {
		return c, err
	}
	c.bus, err = cfg.Connect(backplane.WithRestored(c.restored),
		backplane.WithDropped(cfg.Rooms.Doubt)) // reminders may be among it
	return c, err
}

// Run keeps in touch with the other nodes until ctx ends.
func (c *Cluster) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, c.kill)()
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { c.presence.Run(ctx) })
	running.Go(func() { c.makeGood(ctx) })
	if c.bus == nil {
		<-ctx.Done()
		return nil
	}
	if err := c.bus.Subscribe(ctx, channelRooms, channelPresence); err != nil {
		return fmt.Errorf("listen to the other nodes: %w", err)
	}
	return c.bus.Run(ctx, c.receive)
}

// Ready reports whether the other nodes can be reached.
func (c *Cluster) Ready(ctx context.Context) error {
	if c.bus == nil {
		return nil
	}
	return c.bus.Ready(ctx)
}

// makeGood goes on with what may have failed: reads what is missing here, and tells the others what they may lack.
func (c *Cluster) makeGood(ctx context.Context) {
	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := c.cfg.Rooms.Retry(ctx); err != nil {
			c.cfg.Logger.WarnContext(ctx, "rooms not caught up", "error", err)
		}
		c.announceNewest(ctx)
	}
}

// receive takes what other nodes say.
func (c *Cluster) receive(ctx context.Context, m backplane.Message) {
	if m.Channel == channelPresence {
		if err := c.presence.Receive(m.Payload); err != nil {
			c.cfg.Observer.Backplane(Backplane).Failed(ctx, err)
		}
		return
	}
	if m.Own {
		return // this node's members have got it
	}
	ctx, b := m.Deliver(ctx)
	b.End(c.deliver(ctx, m.Payload, b))
}

func (c *Cluster) deliver(ctx context.Context, payload []byte, b *instrument.Broadcast) error {
	var a announcement
	if err := json.Unmarshal(payload, &a); err != nil {
		return fmt.Errorf("another node's announcement: %w", err)
	}
	switch rooms := c.cfg.Rooms; {
	case a.Message != nil:
		m := *a.Message
		m.Room, m.Seq = a.Room, a.Seq
		return rooms.Deliver(ctx, m, b)
	case a.Frame == nil && a.Room != "":
		return rooms.Reach(ctx, a.Room, a.Seq)
	case a.Frame != nil && a.Room != "":
		c.tell(a.Room, &wire.Frame{Type: a.Type, Data: a.Frame}, b, nil)
		return nil
	case a.Frame != nil && a.User != "":
		c.cfg.Topics.Publish(room.UserTopic(a.User), &wire.Frame{Type: a.Type, Data: a.Frame}, b)
		return nil
	}
	return errors.New("another node's announcement is of a kind that this one does not know")
}

// restored makes good what was missed while the other nodes could not be heard, and says so.
func (c *Cluster) restored(g backplane.Gap) {
	ctx, cancel := context.WithTimeout(c.live, catchUpTimeout)
	defer cancel()
	c.presence.Resync()
	err := c.cfg.Rooms.CatchUp(ctx)
	record := c.cfg.Logger.With("gap_seconds", g.Duration().Seconds())
	if err != nil {
		record.ErrorContext(ctx, "rooms not caught up", "error", err)
		return
	}
	record.InfoContext(ctx, "rooms caught up")
}
