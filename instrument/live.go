package instrument

import (
	"iter"
	"slices"
	"sync"
	"time"
)

// liveShards is the number of parts in which the live connections are held, so that opening, closing and listing do not
// wait for each other.
const liveShards = 64

// live is the set of open connections.
type live [liveShards]liveShard

type liveShard struct {
	mu    sync.Mutex
	conns []*Conn
	_     [cacheLine - 32]byte
}

func (l *live) add(c *Conn) {
	s := &l[c.number%liveShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	c.place = uint32(len(s.conns))
	s.conns = append(s.conns, c)
}

// remove puts the last connection of the shard into the place of c.
func (l *live) remove(c *Conn) {
	s := &l[c.number%liveShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.conns) - 1
	s.conns[c.place] = s.conns[last]
	s.conns[c.place].place = c.place
	s.conns[last] = nil
	s.conns = s.conns[:last]
	if cap(s.conns) > 64 && len(s.conns) < cap(s.conns)/4 {
		s.conns = slices.Clone(s.conns) // the peak is over
	}
}

// all lists the connections, one shard at a time. Connections may open and close meanwhile.
func (l *live) all() iter.Seq[*Conn] {
	return func(yield func(*Conn) bool) {
		for conns := range l.shards() {
			for _, c := range conns {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// shards lists the connections of each shard. A list is valid until the next one.
func (l *live) shards() iter.Seq[[]*Conn] {
	return func(yield func([]*Conn) bool) {
		var conns []*Conn
		for i := range l {
			s := &l[i]
			s.mu.Lock()
			conns = append(conns[:0], s.conns...)
			s.mu.Unlock()
			if !yield(conns) {
				return
			}
		}
	}
}

// idleAfter returns the values of the label idle: for how long a connection had neither a message nor a pong.
func idleAfter() []time.Duration {
	return []time.Duration{30 * time.Second, time.Minute, 5 * time.Minute}
}

func idleNames() []string { return []string{"30s", "1m", "5m"} }

// liveness is a summary of the live connections at one moment.
type liveness struct {
	idle       []int // by idleAfter
	queued     int
	fullest    float64 // queue by its capacity
	queuedFor  time.Duration
	slow       int           // connections
	behindSlow int           // messages in their queues
	unanswered time.Duration // ping
}

// slowAfter is for how long a message has waited in the send queue of a connection that is slow: longer than a burst
// takes.
const slowAfter = time.Second

// together is the number of connections that liveness looks at in one go.
const together = 32

// liveness looks at every connection. It takes some ten nanoseconds for each and holds no lock for longer.
func (o *Observer) liveness() liveness {
	now := o.now()
	after := idleAfter()
	l := liveness{idle: make([]int, len(after))}
	for conns := range o.conns.shards() {
		// The connections' memory is mostly in no cache. A processor fetches several connections at once as long as no
		// lock comes in between, so the locks come second.
		for some := range slices.Chunk(conns, together) {
			var capacities [together]int64
			for i, c := range some {
				silent := now - c.lastActive()
				for i, d := range after {
					if silent > d {
						l.idle[i]++
					}
				}
				capacities[i] = c.queueCapacity.Load()
			}
			for i, c := range some {
				l.addWaiting(c, capacities[i], now)
			}
		}
	}
	return l
}

func (l *liveness) addWaiting(c *Conn, capacity int64, now time.Duration) {
	if n, since := c.queue.length(); n > 0 {
		l.queued += n
		l.queuedFor = max(l.queuedFor, now-since)
		if now-since > slowAfter {
			l.slow++
			l.behindSlow += n
		}
		if capacity > 0 {
			// One more than the capacity is possible: the message that is being written.
			l.fullest = max(l.fullest, min(float64(n)/float64(capacity), 1))
		}
	}
	if n, since := c.pings.length(); n > 0 {
		l.unanswered = max(l.unanswered, now-since)
	}
}
