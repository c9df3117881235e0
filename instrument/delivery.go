package instrument

import "time"

// maxWaiting is the number of queued messages that are remembered of a connection without SetQueueCapacity.
const maxWaiting = 1 << 16

// A Delivery is a message on its way through a connection's send queue, from Conn.BeginDelivery or
// Broadcast.BeginDelivery to Sent or Dropped. Call one of the two once, also for what is left in the queue of a
// connection that has closed: a broadcast waits for all of its deliveries before it observes when the last one was
// written. A Delivery is small: put it into the queue together with the message. The zero Delivery does nothing.
type Delivery struct {
	conn      *Conn
	broadcast *Broadcast // nil if it belongs to none
	at        time.Duration
	state     deliveryState // in one field: a struct of more than four is not kept in registers
}

type deliveryState uint8

const (
	remembered deliveryState = 1 << iota // by the connection, among those that wait
	behind                               // others that have waited for long: the connection is slow
)

// SetQueueCapacity sets how many messages the connection's send queue can hold, for websocket_send_queue_max_ratio.
// That metric leaves out connections without a capacity.
func (c *Conn) SetQueueCapacity(n int) {
	if c.live() && n > 0 {
		c.queueCapacity.Store(int64(n))
	}
}

// BeginDelivery notes that a message is about to be put into the connection's send queue. Call it before you put the
// message there, so that the message can't be taken out without its Delivery. BeginDelivery reads the clock once. It
// allocates only when the queue is longer than ever before. To send to many connections, use Broadcast.BeginDelivery,
// which is cheaper.
func (c *Conn) BeginDelivery() Delivery {
	if !c.live() {
		return Delivery{}
	}
	return c.enqueue(c.observer.now(), nil)
}

func (c *Conn) enqueue(now time.Duration, b *Broadcast) Delivery {
	most := maxWaiting
	if n := c.queueCapacity.Load(); n > 0 {
		most = int(n) + 1 // the one that is being written has left the queue but is not sent
	}
	var state deliveryState
	added, oldest := c.queue.add(now, most)
	if added {
		state = remembered
	}
	if oldest > slowAfter {
		state |= behind
	}
	return Delivery{c, b, now, state}
}

// Sent notes that the message was written. It counts the message like Conn.Sent and observes the time since
// BeginDelivery.
func (d Delivery) Sent(t MessageType, size int) {
	if !d.leave() {
		return
	}
	o := d.conn.observer
	now := o.now()
	o.metrics.delivery.observe(d.conn.shard, int64(now-d.at))
	d.conn.Sent(t, size)
	d.broadcast.sent(o, now, d.state)
}

// Dropped notes that the message left the queue without being written, and why. It counts the message like
// Conn.Dropped.
func (d Delivery) Dropped(r DropReason) { d.dropped(r) }

// dropped reports whether the message was in the queue until now.
func (d Delivery) dropped(r DropReason) bool {
	left := d.leave()
	if left {
		d.conn.Dropped(r, 1)
		d.broadcast.left(d.state)
	}
	return left
}

// leave reports whether the message was in the queue until now.
func (d Delivery) leave() bool {
	return d.conn != nil && (d.state&remembered == 0 || d.conn.queue.remove(d.at))
}
