package instrument

import (
	"iter"
	"time"
)

// ConnStats describes one connection at one moment. A console lists and ranks connections by it.
type ConnStats struct {
	// ID is the random id of the connection, the same as on spans and in log records.
	ID string
	// Opened is when the handshake succeeded.
	Opened time.Time
	// ReceivedMessages, ReceivedBytes, SentMessages and SentBytes are totals of payloads.
	ReceivedMessages, ReceivedBytes, SentMessages, SentBytes int64
	// LastReceived and LastSent are when the newest message was counted, to a quarter second; zero when there was none.
	LastReceived, LastSent time.Time
	// Queued is the number of messages in the send queue. QueueCapacity is how many it can hold, 0 if not set.
	// QueuedFor is how long the oldest message has been waiting.
	Queued, QueueCapacity int
	QueuedFor             time.Duration
	// LastPong is when a ping was last answered; zero when none was.
	LastPong time.Time
	// RTT is the round trip time of the last ping that was answered, 0 when there was none.
	RTT time.Duration
	// Unanswered is the age of the oldest ping without an answer, 0 when there is none.
	Unanswered time.Duration
}

// Conns lists the open connections. Connections may open and close meanwhile. Such a connection may be listed or not,
// and no connection is listed twice. Listing never blocks a connection.
func (o *Observer) Conns() iter.Seq[*Conn] {
	if !o.live() {
		return func(func(*Conn) bool) {}
	}
	return o.conns.all()
}

// Stats returns the current state of the connection. It neither stops nor slows the connection.
func (c *Conn) Stats() ConnStats {
	if !c.live() {
		return ConnStats{}
	}
	now := c.observer.now()
	at := func(d time.Duration) time.Time {
		if d == 0 {
			return time.Time{}
		}
		return c.observer.epoch.Add(d).Round(0)
	}
	in, out := &c.totals[receive], &c.totals[transmit]
	s := ConnStats{
		ID:               c.id,
		Opened:           c.observer.epoch.Add(c.opened).Round(0),
		ReceivedMessages: in.messages.Load(), ReceivedBytes: in.bytes.Load(),
		SentMessages: out.messages.Load(), SentBytes: out.bytes.Load(),
		LastReceived:  at(time.Duration(c.last[receive].Load())),
		LastSent:      at(time.Duration(c.last[transmit].Load())),
		QueueCapacity: int(c.queueCapacity.Load()),
		LastPong:      at(time.Duration(c.lastPong.Load())),
		RTT:           time.Duration(c.rtt.Load()),
	}
	if n, since := c.queue.length(); n > 0 {
		s.Queued, s.QueuedFor = n, now-since
	}
	if n, since := c.pings.length(); n > 0 {
		s.Unanswered = now - since
	}
	return s
}
