package demo

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/outbox"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// The WebSocket close codes that this service sends. RFC 6455 leaves 4000 to 4999 to applications.
const (
	codeGoingAway    = 1001
	codePolicy       = 1008
	codeRestart      = 1012
	codeTokenExpired = 4401
)

// link is the connection under a session. This is all that a session knows of its transport.
type link interface {
	// write writes a frame and says what was written. It is called for one frame after the other.
	write(*wire.Frame) (typ instrument.MessageType, size int, err error)
	// ping looks whether the peer is there. The link is lost soon after if it is not.
	ping()
	// close ends the connection in order, or finds that it has ended.
	close(reason instrument.CloseReason, code int, text string)
	// cut takes the connection away.
	cut()
	// vanish makes the peer look as if it had vanished without a word.
	vanish()
}

// session is one open connection, whatever its transport. While nothing happens it is a few hundred bytes and a timer.
type session struct {
	server   *Server
	observed *observed
	seen     *instrument.Conn
	link     link
	out      *outbox.Outbox
	limiter  *rate.Limiter
	tooMany  int // messages that the limiter has refused, less those it has not; of who handles messages

	// handling is held while a message is handled. No message is handled after sealed is set under it.
	handling sync.Mutex
	sealed   bool
	rooms    map[string]struct{}
	topics   map[string]struct{}

	burden []byte // of connection_memory; of the server's lock

	gone chan struct{} // closed at the end

	mu         sync.Mutex
	who        auth.Identity // the zero value until a token has come
	clock      clock
	ended      bool
	background sync.WaitGroup // closings and ticks of the clock
}

// newSession returns the session of an open connection, for begin to begin.
func newSession(s *Server, o *observed, seen *instrument.Conn, l link) *session {
	c := &session{
		server: s, observed: o, seen: seen, link: l, gone: make(chan struct{}),
		limiter: rate.NewLimiter(rate.Limit(s.cfg.Limits.MessagesPerSecond), s.cfg.Limits.MessageBurst),
	}
	c.out = outbox.New(outbox.Config{
		Capacity: s.cfg.Limits.SendQueue, Policy: s.cfg.Limits.SendPolicy, Conn: seen, Write: c.write, Full: c.full,
		Failed: func(error) { l.cut() }, // counted and logged by the transport
	})
	return c
}

// begin begins the session. The identity is the zero value if no token has come yet.
func (c *session) begin(who auth.Identity) {
	c.startClock()
	c.server.add(c)
	if who.User != "" {
		c.authenticate(who)
	}
}

// authenticate takes the session for a user's.
func (c *session) authenticate(who auth.Identity) {
	c.mu.Lock()
	first := c.who.User == ""
	c.who = who
	c.clock.login = time.Time{}
	c.mu.Unlock()
	if first { // before there can be anything else, such as that the token expires soon
		c.send(wire.TypeWelcome, wire.WelcomePayload{
			Session: c.seen.ID(), Node: c.server.cfg.Node, User: who.User, Expires: who.Expires,
		})
		c.server.topics.Subscribe(userTopic(who.User), c)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock.expiry(c.server.faults.expiry(who.Expires))
	c.reschedule()
}

// identity returns who the session belongs to, the zero value until that is known.
func (c *session) identity() auth.Identity {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.who
}

// end takes the session out of everything, after its connection has ended.
func (c *session) end(ctx context.Context) {
	close(c.gone)
	c.handling.Lock()
	c.sealed = true
	for room := range c.rooms {
		c.leaveRoom(room)
	}
	for topic := range c.topics {
		c.server.topics.Unsubscribe(topic, c)
	}
	c.handling.Unlock()
	if user := c.identity().User; user != "" {
		c.server.topics.Unsubscribe(userTopic(user), c)
	}
	// From here on nobody delivers to this session any more.
	c.stopClock()
	c.out.Abort(instrument.DropClosed)
	_ = c.out.Close(ctx) // the write under way has lost its connection; its error has been counted
	c.background.Wait()
	c.server.remove(c)
}

// Deliver queues a frame.
func (c *session) Deliver(f *wire.Frame, b *instrument.Broadcast) {
	c.out.Put(f, b)
}

// send queues a frame for this session alone.
func (c *session) send(typ wire.Type, payload any) {
	if f, err := wire.NewFrame(typ, "", payload); err == nil { // payloads of this package can be encoded
		c.Deliver(f, nil)
	}
}

func (c *session) write(f *wire.Frame) (instrument.MessageType, int, error) {
	if c.server.faults.withholds(f) {
		return c.observed.other, 0, outbox.ErrExpired
	}
	typ, size, err := c.link.write(f)
	if err == nil {
		c.server.sent.Add(1)
	}
	return typ, size, err
}

// full disconnects who reads so slowly that there is no room for another frame: they have to come back and start afresh
// rather than miss messages without knowing.
func (c *session) full() {
	c.closeSoon(instrument.ReasonSlowConsumer, codePolicy, "reads too slowly")
}

// closeSoon closes the session in the background, because closing waits for the peer.
func (c *session) closeSoon(reason instrument.CloseReason, code int, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.background.Go(func() { c.link.close(reason, code, text) })
	}
}

// drain ends the session in order: the peer is told when to come back; after the delay no message is handled any more,
// those under way are answered, the queue is written, and the connection closed.
func (c *session) drain(delay time.Duration) {
	if c.server.faults.badDrain.On() {
		c.link.cut()
		return
	}
	c.send(wire.TypeGoingAway, wire.GoingAwayPayload{
		Reason: "the server restarts", ReconnectAfterMS: delay.Milliseconds(),
	})
	select {
	case <-time.After(delay):
	case <-c.gone:
	case <-c.server.live.Done():
	}
	c.handling.Lock()
	c.sealed = true
	c.handling.Unlock()
	_ = c.out.Close(c.server.live) // what could not be written has been counted
	c.link.close(instrument.ReasonShutdown, codeRestart, "the server restarts")
}
