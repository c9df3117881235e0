package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
)

// stableAfter is how long a connection, or a live stream, must work to count as stable. So waits grow, too, for a
// server that accepts every client and drops it at once.
const stableAfter = 10 * time.Second

// restartSpread is the time over which clients reconnect that a server has disconnected all at once, such as when it
// stops or restarts.
const restartSpread = 5 * time.Second

// A Client consumes a feed over a connection, and replaces the connection whenever it breaks. It is a
// prometheus.Collector: register it in the program's registry. All methods are safe for concurrent use.
type Client struct {
	url     string
	feed    Feed
	config  *config
	metrics *metrics
	records *records
	tracing *tracing

	streams map[string]*stream
	other   *stream   // stands for every stream that is not registered
	all     []*stream // other comes last

	running    atomic.Bool
	connection atomic.Pointer[connection] // nil while there is no connection
	queue      chan item
	wake       chan struct{} // there is something to do for the connection's loop
	starved    atomic.Bool   // a stream waits for the handler to catch up
	stalls     atomic.Int64  // odd while the connection waits for room in the queue
	state      atomic.Uint32 // State
	inState    [Live + 1]int // streams by state
}

// New makes a Client for the feed at a ws, wss, http or https URL. The URL may be empty if WithEndpoint provides one.
// New starts nothing: Run does. An error names the argument or option that is wrong.
func New(address string, feed Feed, opts ...Option) (*Client, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	if err := checkURL(address); err != nil && (address != "" || cfg.endpoint == nil) {
		return nil, err
	}
	if feed.Decode == nil || feed.Handle == nil {
		return nil, errors.New("client: Feed.Decode and Feed.Handle are required")
	}
	c := &Client{
		url:     address,
		feed:    feed,
		config:  cfg,
		metrics: newMetrics(cfg.name),
		records: newRecords(cfg.logger, cfg.name),
		tracing: newTracing(cfg),
		streams: make(map[string]*stream, len(feed.Streams)),
		wake:    make(chan struct{}, 1),
	}
	for _, s := range feed.Streams {
		if err := c.register(s); err != nil {
			return nil, fmt.Errorf("client: stream %q: %w", s.Name, err)
		}
	}
	c.other = newStream(Stream{Name: other}, cfg, c.metrics)
	c.all = append(c.all, c.other)
	c.inState[Closed] = len(c.all)
	return c, nil
}

func checkURL(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("client: URL cannot be parsed: check it") // err might contain a token of the query
	}
	switch u.Scheme {
	case "ws", "wss", "http", "https":
		return nil
	}
	return fmt.Errorf("client: URL with scheme %q: must be ws, wss, http or https", u.Scheme)
}

func (c *Client) register(s Stream) error {
	if err := checkLabel(s.Name); err != nil {
		return err
	}
	switch {
	case s.Name == other:
		return errors.New("is the name of the streams that are not registered")
	case c.streams[s.Name] != nil:
		return errors.New("is registered twice")
	case s.Expect < 0:
		return fmt.Errorf("expects something every %v: must be positive, or 0 if it may be silent", s.Expect)
	case s.Restore == nil && (s.Snapshot != nil || s.Resubscribe != nil):
		return errors.New("needs Restore for what Snapshot fetches or Resubscribe asks for")
	case s.Snapshot != nil && s.Resubscribe != nil:
		return errors.New("cannot have both Snapshot and Resubscribe: leave out one of them")
	case s.Resume && s.Restore != nil:
		return errors.New("cannot have both Resume and Restore: a snapshot tells what was missed")
	}
	st := newStream(s, c.config, c.metrics)
	c.streams[s.Name] = st
	c.all = append(c.all, st)
	return nil
}

// stream returns the stream of that name, or the one for all streams that are not registered.
func (c *Client) stream(name string) *stream {
	if st := c.streams[name]; st != nil {
		return st
	}
	c.metrics.overflow.Inc()
	return c.other
}

// Run connects, and reconnects, until ctx ends, the allowed attempts are used up, or an error is Permanent. It returns
// an error that wraps the cause. All goroutines that Run has started have ended when it returns, so the functions of
// the Feed must return when their ctx ends. Afterwards you may call Run again.
func (c *Client) Run(ctx context.Context) (err error) {
	if !c.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer c.running.Store(false)
	ctx, cancel := context.WithCancel(ctx)
	c.queue = make(chan item, c.config.queueSize)
	var handling sync.WaitGroup
	handling.Go(func() { (&handler{Client: c}).run(ctx) })
	for _, st := range c.all {
		st.reset() // what was in the queue of an earlier call is gone
	}
	c.metrics.outage.begin()
	defer func() {
		cancel()
		handling.Wait()
		c.metrics.outage.end()
		for _, st := range c.all {
			st.stale.Store(false)
		}
		c.enterAll(Closed, err)
	}()
	return fmt.Errorf("client %s: %w", c.config.name, c.stayConnected(ctx))
}

// stayConnected makes one connection after another.
func (c *Client) stayConnected(ctx context.Context) error {
	wait := backoff{min: c.config.minBackoff, max: c.config.maxBackoff, random: c.config.random}
	trigger, attempts := triggerConnect, 0
	for {
		c.enterAll(Connecting, nil)
		var cause instrument.Cause
		conn, err := c.connect(ctx)
		if err == nil {
			cause = conn.run(ctx, trigger)
			err = cause.Err
			trigger = triggerReconnect
			if conn.worked(cause) >= stableAfter {
				wait.reset()
				attempts = 0
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if permanent := (*permanentError)(nil); errors.As(err, &permanent) {
			return err
		}
		attempts++
		if limit := c.config.maxAttempts; limit > 0 && attempts >= limit {
			return fmt.Errorf("%w (%d): %w", ErrGaveUp, limit, err)
		}
		if err := c.pause(ctx, pauseAfter(&wait, cause, err), err); err != nil {
			return err
		}
	}
}

// pauseAfter decides how long to wait after an attempt or a connection has ended.
func pauseAfter(wait *backoff, cause instrument.Cause, err error) time.Duration {
	var refused *RefusedError
	switch {
	case errors.As(err, &refused) && refused.RetryAfter > 0:
		return wait.after(refused.RetryAfter)
	case refused.unauthorized(), cause.Reason == instrument.ReasonTryAgainLater:
		return wait.long()
	case cause.Reason == instrument.ReasonRestart, cause.Reason == instrument.ReasonGoingAway:
		return wait.spread(restartSpread)
	default:
		return wait.next()
	}
}

func (c *Client) pause(ctx context.Context, d time.Duration, why error) error {
	c.metrics.backoff.Observe(d.Seconds())
	c.enterAll(Waiting, why)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// Send sends a message on the present connection. It returns ErrNotConnected while there is none. If ctx ends before
// the message is written, Send ends the connection, because part of the message may have been sent.
func (c *Client) Send(ctx context.Context, typ MessageType, payload []byte) error {
	conn := c.connection.Load()
	if conn == nil {
		return ErrNotConnected
	}
	return conn.Send(ctx, typ, payload)
}

// Reconnect replaces the present connection, for example because the server asks for it. The new connection is made
// after the usual wait. Reconnect does not wait for it. It does nothing while there is no connection.
func (c *Client) Reconnect() {
	if conn := c.connection.Load(); conn != nil {
		conn.end(local(instrument.ReasonNormal, websocket.StatusNormalClosure, errReconnect))
	}
}

// LastNumber returns the highest sequence number that was received on a stream, or 0 before the first. Feed.Subscribe
// resumes after it, and some servers want to get it from time to time. The event with this number may still wait for
// the handler.
func (c *Client) LastNumber(stream string) uint64 {
	if st := c.streams[stream]; st != nil {
		return st.last.Load()
	}
	return 0
}

// Reconcile makes a live stream fetch a snapshot and start from it, as after a gap. Use it to find out whether the
// application's state is right. Reconcile does not wait for the snapshot. It does nothing while the stream is not live,
// because the stream is then going to be reconciled anyway. A snapshot with a lower number than the stream's counts as
// old and is fetched again, unless its Restart is set.
func (c *Client) Reconcile(name string) error {
	st := c.streams[name]
	if st == nil || !st.reconciles() {
		return fmt.Errorf("%w: %q", ErrUnknownStream, name)
	}
	st.manual.Store(true)
	c.signal()
	return nil
}

// caughtUp says whether the handler has emptied half of its queue.
func (c *Client) caughtUp() bool { return len(c.queue) <= cap(c.queue)/2 }

// signal wakes the loop of the connection.
func (c *Client) signal() {
	select {
	case c.wake <- struct{}{}:
	default: // the loop is about to look anyway
	}
}

// failed counts and logs an error of a function of the application.
func (c *Client) failed(kind instrument.ErrorKind, r record, err error, attrs ...slog.Attr) {
	if panicked := c.countPanic(err); panicked != nil {
		attrs = append(attrs, slog.String("stack", string(panicked.Stack)))
	} else {
		c.countError(kind)
	}
	c.records.write(r, append(attrs, errorAttr(err))...)
}

func (c *Client) countError(kind instrument.ErrorKind) {
	c.metrics.errors.WithLabelValues(kind.String()).Inc()
}

// countPanic counts err if it is a panic, and returns the panic.
func (c *Client) countPanic(err error) *PanicError {
	var panicked *PanicError
	if errors.As(err, &panicked) {
		c.countError(instrument.ErrorPanic)
	}
	return panicked
}
