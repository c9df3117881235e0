package demo

import (
	"context"
	"time"

	"github.com/sockscope/sockscope/demo/market"
	"github.com/sockscope/sockscope/demo/wire"
)

// Topics are streams and users, which can't be taken for each other.
func streamTopic(stream string) string { return "stream " + stream }
func userTopic(user string) string     { return "user " + user }

func (c *session) subscribe(ctx context.Context, env *wire.Envelope) error {
	p, err := env.Stream()
	if err != nil {
		return err
	}
	if c.topics == nil {
		c.topics = make(map[string]struct{}, 1)
	}
	c.topics[streamTopic(p.Stream)] = struct{}{}
	c.server.topics.Subscribe(streamTopic(p.Stream), c)
	c.succeed(ctx, env.MessageID, wire.AckPayload{})
	return nil
}

func (c *session) unsubscribe(ctx context.Context, env *wire.Envelope) error {
	p, err := env.Stream()
	if err != nil {
		return err
	}
	delete(c.topics, streamTopic(p.Stream))
	c.server.topics.Unsubscribe(streamTopic(p.Stream), c)
	c.succeed(ctx, env.MessageID, wire.AckPayload{})
	return nil
}

// notify tells a user something on all of that user's connections, wherever they are.
func (c *session) notify(ctx context.Context, env *wire.Envelope) error {
	p, err := env.Notify()
	if err != nil {
		return err
	}
	s := c.server
	ctx, b := s.sockets.observer.BeginBroadcast(ctx)
	f, err := newFrame(ctx, wire.TypeNotification, env.MessageID, wire.NotificationPayload{From: c.identity().User, Text: p.Text})
	if err == nil {
		s.topics.Publish(userTopic(p.User), f, b)
		s.cluster.forward(ctx, announcement{User: p.User, Type: f.Type, Frame: f.Data})
		c.succeed(ctx, env.MessageID, wire.AckPayload{})
	}
	b.End(err)
	return err
}

// publishTicks hands a batch of prices to who has subscribed.
func (s *Server) publishTicks(batch market.Batch) {
	s.publishStream(wire.TypeTicks, wire.StreamMarket, batch)
}

// publishStream hands something to who has subscribed to a stream. Only the newest of the dashboard is of worth; of the
// market every batch is, because its ticks are numbered.
func (s *Server) publishStream(typ wire.Type, stream string, payload any) {
	f, err := wire.NewFrame(typ, "", payload)
	if err != nil {
		s.logger.Error("stream not published", "stream", stream, "error", err)
		return
	}
	frames := []*wire.Frame{f}
	if stream == wire.StreamDashboard {
		f.Key = stream
	} else {
		frames = s.faults.topics.frames(streamTopic(stream), f)
	}
	_, b := s.sockets.observer.BeginBroadcast(s.live)
	for _, f := range frames {
		s.topics.Publish(streamTopic(stream), f, b)
	}
	b.End(nil)
}

// runDashboard publishes the service's own numbers each second.
func (s *Server) runDashboard(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	received, sent, last := s.received.Load(), s.sent.Load(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r, w, now := s.received.Load(), s.sent.Load(), time.Now()
		seconds := now.Sub(last).Seconds()
		s.publishStream(wire.TypeDashboard, wire.StreamDashboard, wire.DashboardPayload{
			Node: s.cfg.Node, Connections: s.open(), Rooms: s.rooms.Len(),
			ReceivedPerSecond: float64(r-received) / seconds, SentPerSecond: float64(w-sent) / seconds,
		})
		received, sent, last = r, w, now
	}
}

func (s *Server) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}
