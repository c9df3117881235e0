// Package backplane connects the nodes of a realtime service by Redis Pub/Sub and observes what passes between them:
// whether Redis is reachable, how long messages take from node to node, what fails and what is dropped. Each message
// travels in an envelope with the trace context of its sender, so that a broadcast and its deliveries on all other
// nodes are one trace.
//
// # Use
//
// A [Backplane] uses the client of github.com/redis/go-redis/v9 that the service has anyway, under a name that the
// Observer knows by instrument.WithBackplanes:
//
//	bp, err := backplane.New(client, observer, "redis")
//	go bp.Run(ctx, func(ctx context.Context, m backplane.Message) {
//		if m.Own {
//			return // this node's clients have got it already
//		}
//		ctx, broadcast := m.Deliver(ctx)
//		broadcast.End(rooms.send(ctx, broadcast, m.Channel, m.Payload))
//	})
//	…
//	err = bp.Ready(ctx)                     // before the service takes clients
//	err = bp.Subscribe(ctx, "room:lobby")   // the first member has joined
//	err = bp.Publish(ctx, "room:lobby", payload)
//	err = bp.Unsubscribe(ctx, "room:lobby") // the last one has left
//
// Rooms come and go while Run is running. What this node publishes comes back to it, because Redis does not know nodes;
// [Message].Own tells those messages apart. A node that serves its own clients first, and leaves the way over Redis to
// the others, goes on serving them while Redis is down.
//
// # What up means
//
// websocket_backplane_up is measured, not assumed. It becomes 1 when Redis has answered a ping behind the confirmation
// of every subscription, and a message of this node has come back. Each further ping (see [WithPing]) confirms it,
// together with a message that has come back since the one before. It becomes 0
//
//   - when the connection breaks,
//   - when a ping is not answered in time, as by a Redis that hangs,
//   - when a message of this node does not come back in time, as from a Redis that goes on answering after a failover
//     has made another one the master,
//   - when Redis cannot be reached to publish; that failure also asks for a ping at once, which tells whether the
//     subscription suffers, too.
//
// Whenever the application has published nothing since the last ping to a channel that it is subscribed to, the
// Backplane publishes a heartbeat: a few bytes to a channel sockscope:heartbeat:ID that only it is subscribed to. Allow
// these channels in Redis' access control list, as by &sockscope:heartbeat:*. Where Redis refuses them, a record says
// so, and only the application's messages prove that Redis delivers. Heartbeats are not counted as messages.
//
// Each failure is a log record `backplane error`; when up is 1 again, there is a record `backplane restored`. In a node
// that only publishes and does not call Run, the last Publish alone decides.
//
// After a loss Run tries to reconnect within 50 ms, then more and more rarely, but every 2 s, and subscribes to every
// channel anew. While Redis is known to be unreachable, Publish fails at once with [ErrDown]; it does not where Redis
// answers but does not deliver to this node, because others may get the messages.
//
// # What is lost
//
// Pub/Sub delivers at most once: what is published while a node is not connected never reaches it. [WithRestored] tells
// the service from when to when that may have been, so that it can fetch what it missed or tell its clients to.
// Messages that arrive faster than they are handled are dropped when the queue is full (see [WithQueue]) and counted,
// as Redis would otherwise cut off the whole node for being slow; [WithDropped] tells the service. Conversely, go-redis
// repeats a PUBLISH whose answer was lost, unless MaxRetries of its options is -1: nodes may then get a message twice,
// the second time not as their own.
//
// Payloads of publishers that know no envelope pass as they are, without trace and time. Lag is the difference of two
// nodes' clocks.
package backplane
