package cluster

import (
	"context"
	"encoding/json"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/demo/room"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// Deliver hands a message that was saved to the members of its room, here and on the other nodes. One that was
// delivered before is delivered where it was not.
func (c *Cluster) Deliver(ctx context.Context, m history.Message) error {
	ctx, b := c.cfg.Observer.BeginBroadcast(ctx)
	err := c.cfg.Rooms.Deliver(ctx, m, b)
	b.End(err)
	if c.bus == nil {
		return err
	}
	c.announce(ctx, announcement{Room: m.Room, Seq: m.Seq, Message: &m})
	c.remind(m.Room, m.Seq)
	return err
}

// Publish hands something that is no message to the members of a room, here and on the other nodes, except to one, who
// may be nil. A crowd is not told.
func (c *Cluster) Publish(ctx context.Context, name string, typ wire.Type, payload any, except room.Member) error {
	if c.crowded(name) {
		return nil
	}
	return c.publish(ctx, typ, "", payload, func(f *wire.Frame, b *instrument.Broadcast) announcement {
		c.tell(name, f, b, except)
		return announcement{Room: name, Type: typ, Frame: f.Data}
	})
}

// Notify hands something to all connections of a user, here and on the other nodes.
func (c *Cluster) Notify(ctx context.Context, user string, typ wire.Type, id string, payload any) error {
	return c.publish(ctx, typ, id, payload, func(f *wire.Frame, b *instrument.Broadcast) announcement {
		c.cfg.Topics.Publish(room.UserTopic(user), f, b)
		return announcement{User: user, Type: typ, Frame: f.Data}
	})
}

// publish makes a frame, has it handed to those who are here, and announces it to the other nodes.
func (c *Cluster) publish(
	ctx context.Context, typ wire.Type, id string, payload any, here func(*wire.Frame, *instrument.Broadcast) announcement,
) error {
	ctx, b := c.cfg.Observer.BeginBroadcast(ctx)
	f, err := observe.NewFrame(ctx, typ, id, payload)
	if err == nil {
		c.announce(ctx, here(f, b))
	}
	b.End(err)
	return err
}

// remind has the others be told once more how far a room is: what they are told may be lost on the way.
func (c *Cluster) remind(room string, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.newest[room] = max(seq, c.newest[room]) // at most as many as there are rooms in the history
}

// announce tells the other nodes something, and reports whether that was possible. Failures are counted and logged by
// the backplane.
func (c *Cluster) announce(ctx context.Context, a announcement) bool {
	if c.bus == nil {
		return true
	}
	ctx, span := observe.StartSpan(ctx, "publish", trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		attribute.String("messaging.system", "redis"), attribute.String("messaging.destination.name", channelRooms)))
	defer span.End()
	data, err := json.Marshal(a)
	if err == nil {
		err = c.bus.Publish(ctx, channelRooms, data)
	}
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	return err == nil
}

// announceNewest tells the others how far the rooms are in which something was said here.
func (c *Cluster) announceNewest(ctx context.Context) {
	c.mu.Lock()
	newest := c.newest
	c.newest = make(map[string]uint64)
	c.mu.Unlock()
	down := false
	for room, seq := range newest {
		if !down {
			down = !c.announce(ctx, announcement{Room: room, Seq: seq})
		}
		if down {
			c.remind(room, seq)
		}
	}
}
