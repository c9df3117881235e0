package instrument

import "time"

// maxPings is the number of unanswered pings that are remembered of one connection.
const maxPings = 64

// A Ping is a ping that was sent, from Conn.BeginPing to End or Forget. The zero Ping does nothing.
type Ping struct {
	conn  *Conn
	at    time.Duration
	waits bool // among those that the connection remembers
}

// BeginPing notes that a ping is about to be sent to the peer. Until End it counts as unanswered.
func (c *Conn) BeginPing() Ping {
	if !c.live() {
		return Ping{}
	}
	now := c.observer.now()
	waits, _ := c.pings.add(now, maxPings)
	return Ping{c, now, waits}
}

// End notes the result of the ping. Only the first call counts. With PingPong, the time since BeginPing is the round
// trip time, and the connection counts as active.
func (p Ping) End(r PingResult) {
	if !p.leave() {
		return
	}
	o := p.conn.observer
	o.metrics.pings.of(r).Inc()
	if r == PingPong {
		now := o.now()
		p.conn.rtt.Store(int64(now - p.at))
		raise(&p.conn.lastPong, now)
		o.metrics.pingRTT.WithLabelValues().Observe((now - p.at).Seconds())
	}
}

// Forget ends a ping without a result, such as one that the caller has given up. The ping is not counted.
func (p Ping) Forget() { p.leave() }

// leave reports whether the ping was unanswered until now.
func (p Ping) leave() bool {
	return p.conn != nil && (!p.waits || p.conn.pings.remove(p.at))
}
