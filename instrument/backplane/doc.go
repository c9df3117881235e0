// Package backplane connects the nodes of a realtime service by Redis Pub/Sub and observes the messages between them:
// whether Redis is reachable, how long messages take from node to node, which fail and which are dropped. Each message
// travels in an envelope with the trace context of its sender, so a broadcast and its deliveries on all other nodes are
// one trace.
//
// # Use
//
// A [Backplane] uses the service's own client of github.com/redis/go-redis/v9. Register its name by
// instrument.WithBackplanes:
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
// Rooms come and go while Run is running. Redis does not know nodes, so a node's messages come back to it. They have
// Own set in [Message]. A node that serves its own clients directly, and uses Redis only for the other nodes, goes on
// serving its clients while Redis is down.
//
// # What up means
//
// websocket_backplane_up is measured, not assumed. It becomes 1 when Redis has confirmed every subscription and
// answered a ping sent after them, and a message of this node has come back. Each further ping (see [WithPing])
// confirms it, together with a message that has come back since the previous ping. It becomes 0
//
//   - when the connection breaks,
//   - when a ping is not answered in time, as by a Redis that hangs,
//   - when a message of this node does not come back in time, as from a Redis that goes on answering after a failover
//     has made another one the master,
//   - when Redis cannot be reached to publish; that failure also asks for a ping at once, which tells whether the
//     subscription suffers, too.
//
// If the application has published nothing to a subscribed channel since the last ping, the Backplane publishes a
// heartbeat: a few bytes to a channel sockscope:heartbeat:ID to which only this Backplane is subscribed. Allow these
// channels in Redis' access control list, such as by &sockscope:heartbeat:*. If Redis refuses them, a log record says
// so, and only the application's messages prove that Redis delivers. Heartbeats are not counted as messages.
//
// Each failure is a log record `backplane error`. When up is 1 again, there is a record `backplane restored`. In a node
// that only publishes and does not call Run, the last Publish alone decides about up.
//
// After a loss Run tries to reconnect within 50 ms, then less and less often, but at least every 2 s, and subscribes to
// every channel again. While Redis is known to be unreachable, Publish fails at once with [ErrDown]. If Redis answers
// but does not deliver to this node, Publish goes on, because others may get the messages.
//
// # What is lost
//
// Pub/Sub delivers at most once: a message that is published while a node is not connected never reaches the node. The
// function of [WithRestored] gets the time of such a gap, so that the service can fetch the messages that it missed or
// tell its clients to. Messages that arrive faster than they are handled are dropped and counted when the queue is full
// (see [WithQueue]). Otherwise Redis would disconnect the whole node for being slow. The function of [WithDropped] is
// called afterwards. Conversely, go-redis repeats a PUBLISH whose answer was lost, unless MaxRetries of its options is
// -1. Nodes may then get a message twice, and the second one is not recognized as their own.
//
// Payloads without an envelope, from other publishers, pass unchanged, without trace context and time. Lag is the
// difference of two nodes' clocks.
package backplane
