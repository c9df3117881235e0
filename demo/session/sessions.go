package session

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/demo/outbox"
	"github.com/sockscope/sockscope/demo/use"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// Link is the connection under a session. This is all that a session knows of its transport.
type Link interface {
	// Write writes a frame and says what was written. It is called for one frame after the other.
	Write(f *wire.Frame) (typ instrument.MessageType, size int, err error)
	// Ping looks whether the peer is there. The link is lost soon after if it is not.
	Ping()
	// Close ends the connection in order, or finds that it has ended. The text is for people.
	Close(reason instrument.CloseReason, text string)
	// Cut takes the connection away.
	Cut()
}

// Batch is frames that have waited together, see outbox.Batch.
type Batch = outbox.Batch

// Gatherer is a Link that writes several frames with less effort than one after the other.
type Gatherer interface {
	Link
	// WriteAll writes the frames of a batch that are to be written, and notes what became of them.
	WriteAll(b Batch)
}

// WriteAll writes a batch to a link, together if it is a Gatherer and there are several frames.
func WriteAll(l Link, b Batch) {
	if together, ok := l.(Gatherer); ok && len(b) > 1 {
		together.WriteAll(b)
		return
	}
	b.WriteEach(l.Write)
}

// Opener opens sessions. *Sessions is one.
type Opener interface {
	// Open returns the session of a connection, which an observer observes as conn. It does nothing before Begin.
	Open(o *observe.Observer, conn *instrument.Conn, l Link) *Session
}

// Handler handles a request of a session's. Its error is answered and logged, see use.Visit.
type Handler func(ctx context.Context, s *Session, env *wire.Envelope) error

// Config says what sessions are for, and bounds them.
type Config struct {
	Node   string // this node's name, for peers to see
	Logger *slog.Logger
	// Verify tells whose a token is.
	Verify func(ctx context.Context, token string) (auth.Identity, error)
	Uses   []use.Use
	// Around, if there is one, returns what handles requests in place of the sessions' own handler.
	Around func(Handler) Handler

	Heartbeat         time.Duration // between pings
	LoginTimeout      time.Duration // until a token has come
	IdleTimeout       time.Duration // without a message from the peer; 0 for no limit
	MessagesPerSecond float64       // of one session, in the long run
	MessageBurst      int           // of one session, at once
	SendQueue         int           // frames that wait for one peer
	SendPolicy        outbox.Policy // what happens when as many wait
	DrainSpread       time.Duration // over how long a drain closes connections
}

// Sessions are all sessions of a node.
type Sessions struct {
	cfg    Config
	uses   map[wire.Type]int // the index of the use that handles a type
	handle Handler

	// live ends when every connection has to be gone.
	live context.Context
	kill context.CancelFunc

	received, sent atomic.Int64
	writers        outbox.Writers

	running  sync.WaitGroup // drains
	mu       sync.Mutex
	draining bool
	open     map[*Session]struct{}
}

// New returns Sessions without an open session.
func New(cfg Config) *Sessions {
	s := &Sessions{cfg: cfg, uses: make(map[wire.Type]int), open: make(map[*Session]struct{})}
	s.live, s.kill = context.WithCancel(context.Background())
	for i, u := range cfg.Uses {
		for _, typ := range u.Requests() {
			s.uses[typ] = i
		}
	}
	s.handle = func(ctx context.Context, c *Session, env *wire.Envelope) error { return c.do(ctx, env) }
	if cfg.Around != nil {
		s.handle = cfg.Around(s.handle)
	}
	return s
}

// All returns the sessions that are open now.
func (s *Sessions) All() []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*Session, 0, len(s.open))
	for c := range s.open {
		all = append(all, c)
	}
	return all
}

// Len returns how many sessions are open.
func (s *Sessions) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// Messages returns how many messages all sessions together have received and sent until now.
func (s *Sessions) Messages() (received, sent int64) { return s.received.Load(), s.sent.Load() }

// Drain ends all sessions in order, now and later: their peers are told and get what was queued for them before their
// connections are closed. It returns at once, see Wait.
func (s *Sessions) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	for c := range s.open {
		s.running.Go(func() { c.drain(s.drainDelay()) })
	}
}

// Draining reports whether the sessions are about to end, since Drain or Cut.
func (s *Sessions) Draining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// Wait returns when nothing is left of a drain.
func (s *Sessions) Wait() { s.running.Wait() }

// Cut takes away every connection, now and later, and returns how many there were.
func (s *Sessions) Cut() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	s.kill()
	for c := range s.open {
		c.link.Cut()
	}
	return len(s.open)
}

// drainDelay is how long a connection stays after a drain has begun.
func (s *Sessions) drainDelay() time.Duration {
	if s.cfg.DrainSpread <= 0 {
		return 0
	}
	return rand.N(s.cfg.DrainSpread)
}

// add lists an open session. One that was let in just before the drain is drained like the others.
func (s *Sessions) add(c *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[c] = struct{}{}
	switch {
	case s.live.Err() != nil:
		c.link.Cut()
	case s.draining:
		s.running.Go(func() { c.drain(s.drainDelay()) })
	}
}

func (s *Sessions) remove(c *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}
