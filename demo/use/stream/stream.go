// Package stream is subscribing to what the service itself publishes, such as prices and its own numbers.
package stream

import (
	"context"
	"log/slog"

	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/demo/room"
	"github.com/sockscope/sockscope/demo/use"
	"github.com/sockscope/sockscope/demo/wire"
)

// Config is what Streams work with.
type Config struct {
	Topics   *room.Topics
	Observer *observe.Observer
	Logger   *slog.Logger
	// Order is that of what is numbered; room.InOrder by default.
	Order room.Order
}

// Streams is the use. Each node publishes to its own subscribers.
type Streams struct{ cfg Config }

// New returns streams to which nobody has subscribed.
func New(cfg Config) *Streams {
	if cfg.Order == nil {
		cfg.Order = room.InOrder{}
	}
	return &Streams{cfg}
}

// Publish hands something numbered, of which every piece is of worth, to who has subscribed to a stream.
func (s *Streams) Publish(ctx context.Context, typ wire.Type, stream string, payload any) {
	if f := s.frame(typ, stream, payload); f != nil {
		s.publish(ctx, stream, s.cfg.Order.Next(room.StreamTopic(stream), f))
	}
}

// PublishNewest hands something to who has subscribed to a stream, of which only the newest is of worth: it may take
// the place of one that still waits.
func (s *Streams) PublishNewest(ctx context.Context, typ wire.Type, stream string, payload any) {
	if f := s.frame(typ, stream, payload); f != nil {
		f.Key = stream
		s.publish(ctx, stream, []*wire.Frame{f})
	}
}

func (s *Streams) frame(typ wire.Type, stream string, payload any) *wire.Frame {
	f, err := wire.NewFrame(typ, "", payload)
	if err != nil {
		s.cfg.Logger.Error("stream not published", "stream", stream, "error", err)
		return nil
	}
	return f
}

func (s *Streams) publish(ctx context.Context, stream string, frames []*wire.Frame) {
	_, b := s.cfg.Observer.BeginBroadcast(ctx)
	for _, f := range frames {
		s.cfg.Topics.Publish(room.StreamTopic(stream), f, b)
	}
	b.End(nil)
}

// Requests implements use.Use.
func (*Streams) Requests() []wire.Type { return []wire.Type{wire.TypeSubscribe, wire.TypeUnsubscribe} }

// Begin implements use.Use.
func (s *Streams) Begin(p use.Peer) use.Visit { return &visit{Streams: s, peer: p} }

// visit is a peer and what it has subscribed to.
type visit struct {
	*Streams
	peer   use.Peer
	topics map[string]struct{}
}

// Handle implements use.Visit.
func (v *visit) Handle(ctx context.Context, env *wire.Envelope) error {
	p, err := env.Stream()
	if err != nil {
		return err
	}
	topic := room.StreamTopic(p.Stream)
	if env.Type == wire.TypeSubscribe {
		if v.topics == nil {
			v.topics = make(map[string]struct{}, 1)
		}
		v.topics[topic] = struct{}{}
		v.cfg.Topics.Subscribe(topic, v.peer)
	} else {
		delete(v.topics, topic)
		v.cfg.Topics.Unsubscribe(topic, v.peer)
	}
	use.Succeed(ctx, v.peer, env.MessageID, wire.AckPayload{})
	return nil
}

// Renewed implements use.Visit: streams are open to everybody.
func (*visit) Renewed() {}

// End implements use.Visit.
func (v *visit) End() {
	for topic := range v.topics {
		v.cfg.Topics.Unsubscribe(topic, v.peer)
	}
}
