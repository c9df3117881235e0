package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/presence"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/backplane"
)

// The channels of Redis Pub/Sub that the nodes share.
const (
	channelRooms    = "sockscope.rooms"
	channelPresence = "sockscope.presence"
)

const (
	// retryEvery is how often what may have failed is tried again.
	retryEvery     = time.Second
	catchUpTimeout = 10 * time.Second
)

// cluster connects this node with the others. What is said on the way between nodes only triggers: messages are in the
// history, and a node that finds that it has missed some reads them there.
type cluster struct {
	server   *Server
	redis    *backplane.Backplane // nil if this node is the only one
	hangUp   func() error         // closes its connections
	presence *presence.Presence

	mu     sync.Mutex
	newest map[string]uint64 // sequence numbers by room, of which the others are yet to be reminded
}

// announcement is what nodes tell each other on channelRooms: a message of a room, a frame for a room or a user, or only
// how far a room is.
type announcement struct {
	Room    string           `json:"room,omitempty"`
	User    string           `json:"user,omitempty"`
	Seq     uint64           `json:"seq,omitempty"`
	Message *history.Message `json:"message,omitempty"`
	Type    wire.Type        `json:"type,omitempty"`
	Frame   json.RawMessage  `json:"frame,omitempty"`
}

func newCluster(s *Server) (*cluster, error) {
	c := &cluster{server: s, newest: make(map[string]uint64)}
	var err error
	c.presence, err = presence.New(presence.Config{
		Node: s.cfg.Node, Publish: c.publishPresence, Changed: s.presenceChanged,
		Lost:      s.rooms.Doubt, // a node may end between saving a message and telling of it
		Heartbeat: s.cfg.NodeTimeout / 3, DeadAfter: s.cfg.NodeTimeout,
	})
	if err != nil || s.cfg.Redis == nil {
		return c, err
	}
	client, hangUp := s.faults.backplaneClient(s.cfg.Redis)
	c.hangUp = hangUp
	c.redis, err = backplane.New(client, s.sockets.observer, backplaneName, backplane.WithRestored(c.restored),
		backplane.WithDropped(s.rooms.Doubt)) // reminders may be among it
	return c, err
}

// run keeps in touch with the other nodes until ctx ends.
func (c *cluster) run(ctx context.Context) error {
	var running sync.WaitGroup
	defer func() {
		running.Wait()
		if c.redis != nil {
			_ = c.hangUp() // nobody speaks any more who could miss the connections
		}
	}()
	running.Go(func() { c.presence.Run(ctx) })
	running.Go(func() { c.makeGood(ctx) })
	if c.redis == nil {
		<-ctx.Done()
		return nil
	}
	if err := c.redis.Subscribe(ctx, channelRooms, channelPresence); err != nil {
		return fmt.Errorf("listen to the other nodes: %w", err)
	}
	return c.redis.Run(ctx, c.receive)
}

// ready reports whether the other nodes can be reached.
func (c *cluster) ready(ctx context.Context) error {
	if c.redis == nil {
		return nil
	}
	return c.redis.Ready(ctx)
}

// announce tells the other nodes of a message that was saved.
func (c *cluster) announce(ctx context.Context, m history.Message) {
	if c.redis == nil {
		return
	}
	c.forward(ctx, announcement{Room: m.Room, Seq: m.Seq, Message: &m})
	c.remind(m.Room, m.Seq)
}

// remind has the others be told once more how far a room is: what they are told may be lost on the way.
func (c *cluster) remind(room string, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.newest[room] = max(seq, c.newest[room]) // at most as many as there are rooms in the history
}

// forward tells the other nodes something, and reports whether that was possible. Failures are counted and logged by the
// backplane.
func (c *cluster) forward(ctx context.Context, a announcement) bool {
	if c.redis == nil {
		return true
	}
	ctx, span := startSpan(ctx, "publish", trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		attribute.String("messaging.system", "redis"), attribute.String("messaging.destination.name", channelRooms)))
	defer span.End()
	data, err := json.Marshal(a)
	if err == nil {
		err = c.redis.Publish(ctx, channelRooms, data)
	}
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	return err == nil
}

// makeGood goes on with what may have failed: reads what is missing here, and tells the others what they may lack.
func (c *cluster) makeGood(ctx context.Context) {
	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := c.server.rooms.Retry(ctx); err != nil {
			c.server.logger.WarnContext(ctx, "rooms not caught up", "error", err)
		}
		c.announceNewest(ctx)
	}
}

// announceNewest tells the others how far the rooms are in which something was said here.
func (c *cluster) announceNewest(ctx context.Context) {
	c.mu.Lock()
	newest := c.newest
	c.newest = make(map[string]uint64)
	c.mu.Unlock()
	down := false
	for room, seq := range newest {
		if !down {
			down = !c.forward(ctx, announcement{Room: room, Seq: seq})
		}
		if down {
			c.remind(room, seq)
		}
	}
}

// receive takes what other nodes say.
func (c *cluster) receive(ctx context.Context, m backplane.Message) {
	c.server.faults.lag(ctx, m.Published)
	if m.Channel == channelPresence {
		if err := c.presence.Receive(m.Payload); err != nil {
			c.server.sockets.observer.Backplane(backplaneName).Failed(ctx, err)
		}
		return
	}
	if m.Own {
		return // this node's members have got it
	}
	ctx, b := m.Deliver(ctx)
	b.End(c.deliver(ctx, m.Payload, b))
}

func (c *cluster) deliver(ctx context.Context, payload []byte, b *instrument.Broadcast) error {
	var a announcement
	if err := json.Unmarshal(payload, &a); err != nil {
		return fmt.Errorf("another node's announcement: %w", err)
	}
	switch s := c.server; {
	case a.Message != nil:
		m := *a.Message
		m.Room, m.Seq = a.Room, a.Seq
		return s.rooms.Deliver(ctx, m, b)
	case a.Frame == nil && a.Room != "":
		return s.rooms.Reach(ctx, a.Room, a.Seq)
	case a.Frame != nil && a.Room != "":
		s.rooms.Publish(a.Room, &wire.Frame{Type: a.Type, Data: a.Frame}, b, nil)
		return nil
	case a.Frame != nil && a.User != "":
		s.topics.Publish(userTopic(a.User), &wire.Frame{Type: a.Type, Data: a.Frame}, b)
		return nil
	}
	return errors.New("another node's announcement is of a kind that this one does not know")
}

// restored makes good what was missed while the other nodes could not be heard, and says so.
func (c *cluster) restored(g backplane.Gap) {
	ctx, cancel := context.WithTimeout(c.server.live, catchUpTimeout)
	defer cancel()
	c.presence.Resync()
	err := c.server.rooms.CatchUp(ctx)
	record := c.server.logger.With("gap_seconds", g.Duration().Seconds())
	if err != nil {
		record.ErrorContext(ctx, "rooms not caught up", "error", err)
		return
	}
	record.InfoContext(ctx, "rooms caught up")
}

func (c *cluster) publishPresence(ctx context.Context, data []byte) error {
	if c.redis == nil {
		return nil
	}
	return c.redis.Publish(ctx, channelPresence, data)
}
