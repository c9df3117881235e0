package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
)

// closeWait is how long the server has for the close handshake.
const closeWait = time.Second

// session is one connection. Its loop, in Run's goroutine, is where everything is decided; other goroutines read, ping,
// subscribe and fetch snapshots, and tell it.
type session struct {
	c     *Client
	ws    *websocket.Conn
	began time.Time

	ctx      context.Context // of everything that is done on behalf of the connection
	cancel   context.CancelFunc
	reading  context.Context // ends after ctx: the close handshake needs a reader
	cut      context.CancelFunc
	children sync.WaitGroup

	messages   chan message
	ended      chan instrument.Cause
	subscribed chan error
	fetched    chan fetched
	alarm      *time.Timer // when a stream becomes stale, or a snapshot is to be fetched
	alarmAt    time.Time

	trigger     trigger
	events      []Event   // of one message, to use its memory again
	heardFrom   bool      // there was an event
	newsAt      time.Time // when a stream had something new to say
	pingTimeout atomic.Bool
	writeError  atomic.Pointer[error]
}

// message is a WebSocket message.
type message struct {
	typ     MessageType
	payload []byte
	at      time.Time
}

// fetched is what came of fetching a snapshot.
type fetched struct {
	stream   *stream
	epoch    uint64
	snapshot Snapshot
	err      error
}

func newSession(c *Client, ws *websocket.Conn) *session {
	return &session{
		c:          c,
		ws:         ws,
		began:      time.Now(),
		messages:   make(chan message),
		ended:      make(chan instrument.Cause, 2), // one of read, one of heartbeat
		subscribed: make(chan error, 1),
		fetched:    make(chan fetched),
	}
}

// run serves the connection until it ends, and says why it did.
func (s *session) run(ctx context.Context, t trigger) instrument.Cause {
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.reading, s.cut = context.WithCancel(context.WithoutCancel(ctx))
	s.trigger = t
	s.alarm = time.NewTimer(time.Hour)
	defer s.alarm.Stop()
	for _, st := range s.c.all {
		st.open()
	}
	s.c.session.Store(s)
	s.c.metrics.outage.end()
	s.children.Go(s.read)
	s.children.Go(s.heartbeat)
	s.children.Go(s.subscribe)

	cause := s.loop()

	next := Waiting
	if ctx.Err() != nil {
		next = Closed
	}
	s.c.enterAll(next, cause.Err) // first: nobody may act upon what is held from now on
	s.c.session.Store(nil)
	s.c.metrics.outage.begin()
	s.cancel()
	s.close(cause)
	s.children.Wait()
	cause = s.explained(cause)
	for _, st := range s.c.all {
		if st.reconciling() {
			s.c.reconciled(st, resultAborted)
		}
		st.close()
	}
	s.c.metrics.disconnections.WithLabelValues(cause.Initiator.String(), cause.Reason.String()).Inc()
	kind := recordLost
	if next == Closed {
		kind = recordClosed
	}
	s.c.records.write(kind,
		slog.String("initiator", cause.Initiator.String()),
		slog.String("reason", cause.Reason.String()),
		slog.Int("code", cause.Code),
		slog.Float64("duration_seconds", time.Since(s.began).Seconds()),
		errorAttr(cause.Err))
	return cause
}

// worked returns how long the connection did, by the cause of its end. One that was given up for the silence of a stream
// has worked for as long as anything new came over it, however long it was open.
func (s *session) worked(cause instrument.Cause) time.Duration {
	if cause.Reason == instrument.ReasonIdleTimeout {
		return s.newsAt.Sub(s.began)
	}
	return time.Since(s.began)
}

// loop reacts to what happens until the connection ends.
func (s *session) loop() instrument.Cause {
	for {
		select {
		case <-s.ctx.Done():
			return local(instrument.ReasonNormal, websocket.StatusNormalClosure, context.Cause(s.ctx))
		case cause := <-s.ended:
			return cause
		case err := <-s.subscribed:
			if err != nil {
				return local(instrument.ReasonInternal, websocket.StatusNormalClosure, fmt.Errorf("subscribe: %w", err))
			}
			s.begin()
		case m := <-s.messages:
			s.receive(m)
		case f := <-s.fetched:
			s.snapshot(f)
		case <-s.c.wake:
			s.hear()
		case <-s.alarm.C:
			if stale := s.check(time.Now()); stale != nil {
				return local(instrument.ReasonIdleTimeout, websocket.StatusNormalClosure,
					fmt.Errorf("%s: %w", stale.Name, errStale))
			}
		}
	}
}

// read reads messages until the connection ends.
func (s *session) read() {
	for {
		typ, payload, err := s.ws.Read(s.reading)
		if err != nil {
			s.ended <- readCause(err)
			return
		}
		select {
		case s.messages <- message{typ: typ, payload: payload, at: time.Now()}:
		case <-s.ctx.Done():
			// Read on for the server's close frame.
		}
	}
}

// heartbeat pings the server until it does not answer in time.
func (s *session) heartbeat() {
	ticker := time.NewTicker(s.c.config.pingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
		}
		if !s.ping() {
			return
		}
	}
}

// ping says whether there is reason to ping again.
func (s *session) ping() bool {
	stalls := s.c.stalls.Load()
	if stalls%2 == 1 {
		return true // nobody reads, so nobody could see the pong
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.c.config.pingTimeout)
	defer cancel()
	start := time.Now()
	err := s.ws.Ping(ctx)
	switch {
	case err == nil:
		s.c.metrics.pingRTT.Observe(time.Since(start).Seconds())
		return true
	case s.ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
		return false // the connection has ended, and read knows why
	case s.c.stalls.Load() != stalls:
		return true // likewise
	}
	s.pingTimeout.Store(true)
	s.ended <- network(instrument.ReasonPingTimeout, errPingTimeout)
	return false
}

func (s *session) subscribe() {
	if s.c.feed.Subscribe == nil {
		s.subscribed <- nil
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.c.config.connectTimeout)
	defer cancel()
	s.subscribed <- guarded(func() error { return s.c.feed.Subscribe(ctx, s) })
}

// Send implements Sender.
func (s *session) Send(ctx context.Context, typ MessageType, payload []byte) error {
	err := s.ws.Write(ctx, typ, payload)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, net.ErrClosed):
		return fmt.Errorf("%w: %w", ErrNotConnected, err)
	case !errors.Is(err, context.Canceled):
		s.writeError.Store(&err)
	}
	return fmt.Errorf("client: send: %w", err)
}

// close ends the connection: by the close handshake if it is this side's wish and the server may still answer.
func (s *session) close(cause instrument.Cause) {
	defer s.cut()
	if cause.Initiator != instrument.InitiatorLocal || cause.Code != int(websocket.StatusNormalClosure) {
		s.cut()
		_ = s.ws.CloseNow() // whether it was closed before does not matter
		return
	}
	timer := time.AfterFunc(closeWait, s.cut)
	defer timer.Stop()
	_ = s.ws.Close(websocket.StatusCode(cause.Code), "") // likewise
}
