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

// stableAfter is how long a connection, or a live stream, must have worked to be proof that it does: a server that
// accepts everybody and drops them at once is met with growing waits.
const stableAfter = 10 * time.Second

// restartSpread is over how long clients come back that a server has sent away together, as it does when it stops or
// restarts.
const restartSpread = 5 * time.Second

// A Client consumes a feed over a connection that it replaces whenever it breaks. It is a prometheus.Collector for the
// program to register. All methods are safe for concurrent use.
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
	wake       chan struct{} // something waits for the connection's loop
	starved    atomic.Bool   // a stream waits for the handler to catch up
	stalls     atomic.Int64  // odd while the connection waits for room in the queue
	state      atomic.Uint32 // State
	inState    [Live + 1]int // streams by state
}

// New makes a Client for the feed at a ws, wss, http or https URL, which may be empty if WithEndpoint tells one. It
// starts nothing: Run does. The error names what is wrong.
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
		return errors.New("client: URL cannot be parsed: check it") // err would show a token in the query
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

// stream returns the stream of that name, or the one that stands for all that are not registered.
func (c *Client) stream(name string) *stream {
	if st := c.streams[name]; st != nil {
		return st
	}
	c.metrics.overflow.Inc()
	return c.other
}

// Run connects, and keeps connected, until ctx ends, the allowed attempts are exhausted, or an error is Permanent. It
// returns what ended it, wrapped; by then every goroutine it has started has ended, so the functions of the Feed must
// return when their ctx ends. It may be called again afterwards.
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

// stayConnected makes one connection after the other.
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

// Send sends a message on the present connection. It returns ErrNotConnected while there is none. When ctx ends before
// the message is written, the connection is ended, because part of the message may have been sent.
func (c *Client) Send(ctx context.Context, typ MessageType, payload []byte) error {
	conn := c.connection.Load()
	if conn == nil {
		return ErrNotConnected
	}
	return conn.Send(ctx, typ, payload)
}

// Reconnect replaces the present connection by another one, as servers and applications ask for. The wait before that is
// the usual one. It does nothing while there is no connection, and waits for nothing.
func (c *Client) Reconnect() {
	if conn := c.connection.Load(); conn != nil {
		conn.end(local(instrument.ReasonNormal, websocket.StatusNormalClosure, errReconnect))
	}
}

// LastNumber returns the highest sequence number that was received on a stream, 0 before the first: what Feed.Subscribe
// resumes after, and what some servers want to be told from time to time. It may still wait for the handler.
func (c *Client) LastNumber(stream string) uint64 {
	if st := c.streams[stream]; st != nil {
		return st.last.Load()
	}
	return 0
}

// Reconcile makes a live stream fetch a snapshot and start from it, as it does after a gap, in order to find out
// whether the state that is held is right. It does not wait for that. While the stream is not live it changes nothing,
// because then it is going to be reconciled anyway. A snapshot with a lower number than was received is taken for an old
// one and fetched again, unless it says Restart.
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
	default: // it is going to look anyway
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

// countPanic counts an error that was a panic, and returns it.
func (c *Client) countPanic(err error) *PanicError {
	var panicked *PanicError
	if errors.As(err, &panicked) {
		c.countError(instrument.ErrorPanic)
	}
	return panicked
}
