package instrument

import "time"

// maxWaiting is how many queued messages of one connection are remembered where SetQueueCapacity has not said how many
// there can be.
const maxWaiting = 1 << 16

// A Delivery is a message on its way through a connection's send queue, from Conn.BeginDelivery or Broadcast.BeginDelivery to Sent
// or Dropped, one of which is to be called once. It is small and meant to travel in the queue beside the message. The
// zero Delivery does nothing.
type Delivery struct {
	conn  *Conn
	at    time.Duration
	waits bool // among those that the connection remembers
}

// SetQueueCapacity says how many messages the connection's send queue holds, for websocket_send_queue_max_ratio. By
// default the connection does not count there.
func (c *Conn) SetQueueCapacity(n int) {
	if c.live() && n > 0 {
		c.queueCapacity.Store(int64(n))
	}
}

// Enqueue tells that a message is handed to the connection's send queue; it is to be called before, so that nobody can
// take the message out without its Delivery. It reads the clock once and does not allocate once the queue has been as
// long before. Who sends to many connections at once uses Broadcast.BeginDelivery, which is cheaper.
func (c *Conn) BeginDelivery() Delivery {
	if !c.live() {
		return Delivery{}
	}
	return c.enqueue(c.observer.now())
}

func (c *Conn) enqueue(now time.Duration) Delivery {
	most := maxWaiting
	if n := c.queueCapacity.Load(); n > 0 {
		most = int(n) + 1 // the one that is being written has left the queue but is not sent
	}
	return Delivery{c, now, c.queue.add(now, most)}
}

// Sent tells that the message was written: it counts as Conn.Sent does, and how long it took since Enqueue.
func (d Delivery) Sent(t MessageType, size int) {
	if d.conn == nil {
		return
	}
	o := d.conn.observer
	d.leave()
	o.metrics.delivery.observe(d.conn.shard, int64(o.now()-d.at))
	d.conn.count(transmit, o.resolve(t), size)
}

// Dropped tells that the message left the queue without being written, and why, as Conn.Dropped does.
func (d Delivery) Dropped(r DropReason) {
	if d.conn == nil {
		return
	}
	d.leave()
	d.conn.Dropped(r, 1)
}

func (d Delivery) leave() {
	if d.waits {
		d.conn.queue.remove(d.at)
	}
}
