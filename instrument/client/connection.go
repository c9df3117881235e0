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
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/instrument"
)

// closeWait is how long the server has for the close handshake.
const closeWait = time.Second

// connection is one connection. Its loop, in Run's goroutine, decides everything. Other goroutines read, ping,
// subscribe and fetch snapshots, and send the results to the loop.
type connection struct {
	c         *Client
	ws        *websocket.Conn
	began     time.Time
	handshake trace.SpanContext

	ctx      context.Context // for everything that is done on behalf of the connection
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
	events      []Event   // of one message; the memory is reused
	heardFrom   bool      // there was an event
	newsAt      time.Time // when a stream last received something new
	unread      drops     // messages that were not understood
	distrusting bool      // there are too many unread messages
	heard       *heard
	sending     chan struct{} // holds one while a message is being sent
	sent        uint64        // messages, guarded by sending
	pingTimeout atomic.Bool
	writeError  atomic.Pointer[error]
}

// message is a WebSocket message.
type message struct {
	typ     MessageType
	payload []byte
	at      time.Time
	number  uint64       // on the connection, from 1
	span    *messageSpan // nil unless sampled
}

// fetched is the result of fetching a snapshot.
type fetched struct {
	stream   *stream
	epoch    uint64
	snapshot Snapshot
	err      error
}

func newConnection(c *Client, ws *websocket.Conn, h *heard, handshake trace.SpanContext) *connection {
	return &connection{
		c:          c,
		ws:         ws,
		began:      time.Now(),
		handshake:  handshake,
		heard:      h,
		sending:    make(chan struct{}, 1),
		messages:   make(chan message),
		ended:      make(chan instrument.Cause, 1),
		subscribed: make(chan error, 1),
		fetched:    make(chan fetched),
	}
}

// run serves the connection until it ends, and returns the cause.
func (conn *connection) run(ctx context.Context, t trigger) instrument.Cause {
	conn.ctx, conn.cancel = context.WithCancel(ctx)
	conn.reading, conn.cut = context.WithCancel(context.WithoutCancel(ctx))
	conn.trigger = t
	conn.alarm = time.NewTimer(time.Hour)
	defer conn.alarm.Stop()
	for _, st := range conn.c.all {
		st.open()
	}
	conn.c.connection.Store(conn)
	conn.c.metrics.outage.end()
	conn.children.Go(conn.read)
	conn.children.Go(conn.heartbeat)
	conn.children.Go(conn.subscribe)

	cause := conn.loop()

	next := Waiting
	if ctx.Err() != nil {
		next = Closed
	}
	conn.c.enterAll(next, cause.Err) // first: from now on nobody may act on the application's state
	conn.c.connection.Store(nil)
	conn.c.metrics.outage.begin()
	conn.cancel()
	conn.close(cause)
	conn.children.Wait()
	cause = conn.explained(cause)
	for _, st := range conn.c.all {
		if st.reconciling() {
			conn.c.reconciled(st, resultAborted)
		}
		st.close()
	}
	conn.c.metrics.disconnections.WithLabelValues(cause.Initiator.String(), cause.Reason.String()).Inc()
	kind := recordLost
	if next == Closed || errors.Is(cause.Err, errReconnect) {
		kind = recordClosed
	}
	conn.c.records.write(kind,
		slog.String("initiator", cause.Initiator.String()),
		slog.String("reason", cause.Reason.String()),
		slog.Int("code", cause.Code),
		slog.Float64("duration_seconds", time.Since(conn.began).Seconds()),
		errorAttr(cause.Err))
	return cause
}

// worked returns how long the connection worked, given the cause of its end. A connection that was given up because a
// stream was silent has worked until the last time that anything new was received on it, even if it was open for
// longer.
func (conn *connection) worked(cause instrument.Cause) time.Duration {
	if cause.Reason == instrument.ReasonIdleTimeout {
		return conn.newsAt.Sub(conn.began)
	}
	return time.Since(conn.began)
}

// loop reacts to what happens until the connection ends.
func (conn *connection) loop() instrument.Cause {
	for {
		select {
		case <-conn.ctx.Done():
			return local(instrument.ReasonNormal, websocket.StatusNormalClosure, context.Cause(conn.ctx))
		case cause := <-conn.ended:
			return cause
		case err := <-conn.subscribed:
			if err != nil {
				return local(instrument.ReasonInternal, websocket.StatusNormalClosure, fmt.Errorf("subscribe: %w", err))
			}
			conn.begin()
		case m := <-conn.messages:
			conn.receive(m)
		case f := <-conn.fetched:
			conn.snapshot(f)
		case <-conn.c.wake:
			conn.hear()
		case <-conn.alarm.C:
			if stale := conn.check(time.Now()); stale != nil {
				return local(instrument.ReasonIdleTimeout, websocket.StatusNormalClosure,
					fmt.Errorf("%s: %w", stale.Name, errStale))
			}
		}
	}
}

// end ends the connection for a cause, unless it is ending for another one already. It does not wait.
func (conn *connection) end(cause instrument.Cause) {
	select {
	case conn.ended <- cause:
	default:
	}
}

// read reads messages until the connection ends.
func (conn *connection) read() {
	for number := uint64(1); ; number++ {
		typ, payload, err := conn.ws.Read(conn.reading)
		if err != nil {
			conn.end(readCause(err))
			return
		}
		m := message{typ: typ, payload: payload, at: time.Now(), number: number}
		m.span = conn.c.tracing.sample(conn.handshake, m)
		conn.heard.busy.Store(true)
		select {
		case conn.messages <- m:
		case <-conn.ctx.Done():
			// Go on reading, to get the server's close frame.
		}
		conn.heard.note()
		conn.heard.busy.Store(false)
	}
}

// heartbeat checks the connection until it ends: by pings, or by whether anything is received.
func (conn *connection) heartbeat() {
	switch c := conn.c.config; {
	case c.pingInterval > 0:
		conn.pingEvery(c.pingInterval)
	case c.pingTimeout > 0:
		conn.listenFor(c.pingTimeout)
	}
}

// pingEvery pings the server until a pong does not arrive in time.
func (conn *connection) pingEvery(interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-conn.ctx.Done():
			return
		case <-ticker.C:
		}
		if !conn.ping() {
			return
		}
	}
}

// listenFor ends the connection when nothing is received for too long.
func (conn *connection) listenFor(timeout time.Duration) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		select {
		case <-conn.ctx.Done():
			return
		case <-timer.C:
		}
		left := timeout - conn.heard.ago()
		if left <= 0 {
			conn.end(local(instrument.ReasonIdleTimeout, websocket.StatusNormalClosure, errSilent))
			return
		}
		timer.Reset(left)
	}
}

// ping pings once and says whether to ping again.
func (conn *connection) ping() bool {
	stalls := conn.c.stalls.Load()
	if stalls%2 == 1 || conn.heard.busy.Load() {
		return true // nobody reads, so nobody could see the pong
	}
	ctx, cancel := context.WithTimeout(conn.ctx, conn.c.config.pingTimeout)
	defer cancel()
	start := time.Now()
	err := conn.ws.Ping(ctx)
	switch {
	case err == nil:
		conn.c.metrics.pingRTT.Observe(time.Since(start).Seconds())
		return true
	case conn.ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
		return false // the connection has ended, and read knows why
	case conn.c.stalls.Load() != stalls || conn.heard.busy.Load():
		return true // likewise
	}
	conn.pingTimeout.Store(true)
	conn.end(network(instrument.ReasonPingTimeout, errPingTimeout))
	return false
}

func (conn *connection) subscribe() {
	if conn.c.feed.Subscribe == nil {
		conn.subscribed <- nil
		return
	}
	ctx, cancel := context.WithTimeout(conn.ctx, conn.c.config.connectTimeout)
	defer cancel()
	conn.subscribed <- guarded(func() error { return conn.c.feed.Subscribe(ctx, conn) })
}

// Send implements Sender.
func (conn *connection) Send(ctx context.Context, typ MessageType, payload []byte) error {
	select {
	case conn.sending <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("client: send: %w", context.Cause(ctx))
	}
	err := conn.ws.Write(ctx, typ, payload)
	if err == nil {
		conn.sent++
		annotate(ctx, conn.handshake, conn.sent)
	}
	<-conn.sending
	switch {
	case err == nil:
		return nil
	case errors.Is(err, net.ErrClosed):
		return fmt.Errorf("%w: %w", ErrNotConnected, err)
	case !errors.Is(err, context.Canceled):
		conn.writeError.Store(&err)
	}
	return fmt.Errorf("client: send: %w", err)
}

// close ends the connection. It does the close handshake if this side ends the connection and the server may still
// answer.
func (conn *connection) close(cause instrument.Cause) {
	defer conn.cut()
	if cause.Initiator != instrument.InitiatorLocal || cause.Code != int(websocket.StatusNormalClosure) {
		conn.cut()
		_ = conn.ws.CloseNow() // it may have been closed before
		return
	}
	timer := time.AfterFunc(closeWait, conn.cut)
	defer timer.Stop()
	_ = conn.ws.Close(websocket.StatusCode(cause.Code), "") // it may have been closed before
}
