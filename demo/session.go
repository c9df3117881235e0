package demo

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/coder"
)

// session is one open connection: a reader that handles messages one after
// another, a writer that empties the queue, and the heartbeat.
type session struct {
	server *Server
	name   string
	conn   *coder.Conn
	seen   *instrument.Conn // what of conn is observed
	socket net.Conn         // beneath conn; only a fault touches it
	queue  *queue
	rooms  map[string]struct{} // of the reader alone

	// handling is held while a message is handled. No message is handled after
	// sealed is set under it.
	handling sync.Mutex
	sealed   bool

	written chan struct{} // closed when the writer has ended
	slow    atomic.Bool   // disconnected for reading too slowly
	closing sync.WaitGroup
}

func newSession(s *Server, name string, conn *coder.Conn, socket net.Conn) *session {
	seen := conn.Session()
	seen.SetQueueCapacity(s.cfg.SendQueue)
	return &session{
		server:  s,
		name:    name,
		conn:    conn,
		seen:    seen,
		socket:  socket,
		queue:   newQueue(s.cfg.SendQueue),
		rooms:   make(map[string]struct{}),
		written: make(chan struct{}),
	}
}

// run lasts as long as the connection.
func (c *session) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(c.seen.Context(ctx))
	defer cancel()
	var helpers sync.WaitGroup
	helpers.Go(func() { c.write(ctx) })
	helpers.Go(func() { c.heartbeat(ctx) })

	c.read(ctx)
	for room := range c.rooms {
		c.leaveRoom(ctx, room)
	}
	// From here on nobody delivers to this session any more.
	cancel()
	helpers.Wait()
	c.closing.Wait()
	// Usually closed by now; the error would say so.
	_ = c.conn.CloseNow()
	c.queue.close()
	for f := range c.queue.frames {
		f.delivery.Dropped(c.unsent())
	}
}

// unsent is why a frame could not be written.
func (c *session) unsent() instrument.DropReason {
	if c.slow.Load() {
		return instrument.DropSlowConsumer
	}
	return instrument.DropClosed
}

// read handles what comes in until the connection ends.
func (c *session) read(ctx context.Context) {
	for {
		typ, data, err := c.conn.Read(ctx)
		if err != nil {
			return // counted and logged by conn
		}
		c.handling.Lock()
		if c.sealed {
			c.seen.Received(c.server.observed.other, len(data))
		} else {
			c.receive(ctx, typ, data)
		}
		c.handling.Unlock()
	}
}

// write sends what is queued until the queue or the connection ends.
func (c *session) write(ctx context.Context) {
	defer close(c.written)
	for {
		select {
		case <-ctx.Done():
			return
		case f, more := <-c.queue.frames:
			if !more {
				return
			}
			if c.server.faults.silence.On() {
				f.delivery.Dropped(instrument.DropExpired)
				continue
			}
			if err := c.writeFrame(ctx, f); err != nil {
				c.abandon(err)
				return
			}
		}
	}
}

func (c *session) writeFrame(ctx context.Context, f queued) error {
	ctx, cancel := context.WithTimeout(ctx, c.server.cfg.WriteTimeout)
	defer cancel()
	if err := c.conn.Write(ctx, websocket.MessageText, f.Data); err != nil {
		f.delivery.Dropped(c.unsent())
		return err
	}
	f.delivery.Sent(c.server.observed.messageType(f.Type), len(f.Data))
	return nil
}

// heartbeat pings, and ends a connection whose pong has not come by the time
// of the next ping. It begins at a random moment, so that clients that came
// all at once are not pinged all at once.
func (c *session) heartbeat(ctx context.Context) {
	every := c.server.cfg.Heartbeat
	timer := time.NewTimer(rand.N(every))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		pong, cancel := context.WithTimeout(ctx, every)
		err := c.conn.Ping(pong)
		cancel()
		if err != nil {
			c.abandon(err)
			return
		}
		timer.Reset(every)
	}
}

// abandon ends a connection on which something failed, so that the reader
// learns of it. Where it failed because the connection is closed, the reader
// knows better why, and must be the one to say so.
func (c *session) abandon(err error) {
	if !errors.Is(err, net.ErrClosed) {
		_ = c.conn.CloseNow() // an error means that it was closed meanwhile
	}
}

// Name is what others see of who is connected.
func (c *session) Name() string { return c.name }

// Deliver queues a frame. Who has let so many wait that there is no room for
// another reads too slowly and is disconnected: it has to come back and start
// afresh rather than miss messages without knowing.
func (c *session) Deliver(f *wire.Frame) {
	delivery := c.seen.Enqueue()
	err := c.queue.put(queued{f, delivery})
	switch {
	case errors.Is(err, errQueueClosed):
		delivery.Dropped(instrument.DropClosed)
	case errors.Is(err, errQueueFull):
		delivery.Dropped(instrument.DropQueueFull)
		if c.slow.CompareAndSwap(false, true) {
			// In the background, because closing waits for the peer.
			c.closing.Go(func() {
				_ = c.conn.CloseFor(instrument.ReasonSlowConsumer, websocket.StatusPolicyViolation, "reads too slowly")
			})
		}
	}
}

// drain ends the session in order: the message being handled is finished and
// answered, the peer is told, the queue is written, the connection closed.
func (c *session) drain() {
	c.handling.Lock()
	c.sealed = true
	c.handling.Unlock()
	if f, err := wire.NewFrame(wire.TypeGoingAway, "", wire.GoingAwayPayload{Reason: "the server restarts"}); err == nil {
		c.Deliver(f)
	}
	c.queue.close()
	<-c.written
	// An error means that the connection was gone before.
	_ = c.conn.CloseFor(instrument.ReasonShutdown, websocket.StatusServiceRestart, "the server restarts")
}
