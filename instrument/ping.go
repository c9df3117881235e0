package instrument

import "time"

// maxPings is how many unanswered pings of one connection are remembered.
const maxPings = 64

// A Ping is a ping that was sent, from Conn.Ping to End. The zero Ping does nothing.
type Ping struct {
	conn *Conn
	at   time.Duration
}

// Ping tells that a ping is sent to the peer. Until End it counts as unanswered.
func (c *Conn) BeginPing() Ping {
	if !c.live() {
		return Ping{}
	}
	p := Ping{c, c.observer.now()}
	c.pings.add(p.at, maxPings)
	return p
}

// End tells what became of the ping and is to be called once. For PingPong the time since Conn.Ping is the round trip
// time.
func (p Ping) End(r PingResult) {
	if p.conn == nil {
		return
	}
	o := p.conn.observer
	p.conn.pings.remove(p.at)
	o.metrics.pings.of(r).Inc()
	if r == PingPong {
		rtt := o.now() - p.at
		p.conn.rtt.Store(int64(rtt))
		o.metrics.pingRTT.Observe(rtt.Seconds())
	}
}

// Forget ends a ping of which nothing can be said, such as one that the caller has given up. It is not counted.
func (p Ping) Forget() {
	if p.conn != nil {
		p.conn.pings.remove(p.at)
	}
}
