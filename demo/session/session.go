package session

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/demo/outbox"
	"github.com/sockscope/sockscope/demo/use"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// Session is one open connection, whatever its transport. While nothing happens it is a few hundred bytes and a timer.
// It is a use.Peer.
type Session struct {
	sessions *Sessions
	observer *observe.Observer
	conn     *instrument.Conn
	link     Link
	out      *outbox.Outbox
	limiter  *rate.Limiter
	tooMany  int // messages that the limiter has refused, less those it has not; of who handles messages

	// handling is held while a message is handled. No message is handled after sealed is set under it.
	handling sync.Mutex
	sealed   bool
	visits   []use.Visit // one in each use; none until a token has come

	gone chan struct{} // closed at the end

	mu         sync.Mutex
	who        auth.Identity // the zero value until a token has come
	clock      clock
	ended      bool
	background sync.WaitGroup // closings and ticks of the clock
}

// Open implements Opener.
func (s *Sessions) Open(o *observe.Observer, conn *instrument.Conn, l Link) *Session {
	c := &Session{
		sessions: s, observer: o, conn: conn, link: l, gone: make(chan struct{}),
		limiter: rate.NewLimiter(rate.Limit(s.cfg.MessagesPerSecond), s.cfg.MessageBurst),
	}
	c.out = outbox.New(outbox.Config{
		Capacity: s.cfg.SendQueue, Policy: s.cfg.SendPolicy, Conn: conn, Write: c.write, Writers: &s.writers, Full: c.full,
		Failed: func(error) { l.Cut() }, // counted and logged by the transport
	})
	return c
}

// Begin begins the session. The identity is the zero value if no token has come yet.
func (c *Session) Begin(who auth.Identity) {
	c.startClock()
	c.sessions.add(c)
	if who.User != "" {
		c.handling.Lock()
		defer c.handling.Unlock()
		c.authenticate(who)
	}
}

// authenticate takes the session for a user's. No message is handled meanwhile.
func (c *Session) authenticate(who auth.Identity) {
	c.mu.Lock()
	first := c.who.User == ""
	c.who = who
	c.clock.login = time.Time{}
	c.mu.Unlock()
	if first { // before there can be anything else, such as that the token expires soon
		use.Send(c, wire.TypeWelcome, wire.WelcomePayload{
			Session: c.conn.ID(), Node: c.sessions.cfg.Node, User: who.User, Expires: who.Expires,
		})
		c.visits = make([]use.Visit, len(c.sessions.cfg.Uses))
		for i, u := range c.sessions.cfg.Uses {
			c.visits[i] = u.Begin(c)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock.expiry(who.Expires)
	c.reschedule()
}

// Identity returns who the session belongs to, the zero value until that is known.
func (c *Session) Identity() auth.Identity {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.who
}

// Observed returns the observation of the session's connection.
func (c *Session) Observed() *instrument.Conn { return c.conn }

// End takes the session out of everything, after its connection has ended.
func (c *Session) End(ctx context.Context) {
	close(c.gone)
	c.handling.Lock()
	c.sealed = true
	for _, v := range c.visits {
		v.End()
	}
	c.handling.Unlock()
	// From here on nobody delivers to this session any more.
	c.stopClock()
	c.out.Abort(instrument.DropClosed)
	_ = c.out.Close(ctx) // the write under way has lost its connection; its error has been counted
	c.background.Wait()
	c.sessions.remove(c)
}

// Deliver queues a frame.
func (c *Session) Deliver(f *wire.Frame, b *instrument.Broadcast) {
	c.out.Put(f, b)
}

func (c *Session) write(b Batch) {
	WriteAll(c.link, b)
	sent := 0
	for i := range b {
		if b[i].Err == nil {
			sent++
		}
	}
	c.sessions.sent.Add(int64(sent))
}

// full disconnects who reads so slowly that there is no room for another frame: they have to come back and start afresh
// rather than miss messages without knowing.
func (c *Session) full() {
	c.closeSoon(instrument.ReasonSlowConsumer, "reads too slowly")
}

// closeSoon closes the session in the background, because closing waits for the peer.
func (c *Session) closeSoon(reason instrument.CloseReason, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.background.Go(func() { c.link.Close(reason, text) })
	}
}

// drain ends the session in order: the peer is told when to come back; after the delay no message is handled any more,
// those under way are answered, the queue is written, and the connection closed.
func (c *Session) drain(delay time.Duration) {
	use.Send(c, wire.TypeGoingAway, wire.GoingAwayPayload{
		Reason: "the server restarts", ReconnectAfterMS: delay.Milliseconds(),
	})
	select {
	case <-time.After(delay):
	case <-c.gone:
	case <-c.sessions.live.Done():
	}
	c.handling.Lock()
	c.sealed = true
	c.handling.Unlock()
	_ = c.out.Close(c.sessions.live) // what could not be written has been counted
	c.link.Close(instrument.ReasonShutdown, "the server restarts")
}
