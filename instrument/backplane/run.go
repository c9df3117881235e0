package backplane

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sockscope/sockscope/instrument"
)

// ErrRunning is the error of Run if it is running already.
var ErrRunning = errors.New("run is running already")

// The pauses between attempts to connect. Up to half is cut off at random, so that the nodes of a service don't
// reconnect all at once.
const (
	shortestPause = 50 * time.Millisecond
	longestPause  = 2 * time.Second
)

// Run receives the messages of all subscribed channels until ctx ends, and calls handle for each in the order of their
// arrival, in the caller's goroutine. Channels may be subscribed later. When ctx ends, Run returns nil, and messages
// that are still waiting are dropped and counted. Two goroutines receive and ping meanwhile. They have ended when Run
// returns. A Redis that does not answer can delay the return by the DialTimeout and ReadTimeout of the client's
// options. Run returns an error only if it is running already or the client was closed.
func (b *Backplane) Run(ctx context.Context, handle func(context.Context, Message)) error {
	if !b.running.CompareAndSwap(false, true) {
		return fmt.Errorf("backplane: %w", ErrRunning)
	}
	defer b.running.Store(false)
	ctx, cancel := context.WithCancel(ctx)
	queue, done := make(chan Message, b.queueLength), make(chan error, 1)
	var receiving sync.WaitGroup
	receiving.Go(func() { done <- b.receive(ctx, queue) })
	defer func() { // also when the handler panics
		cancel()
		receiving.Wait()
		for range len(queue) {
			b.observed.Received(instrument.BackplaneDropped)
		}
	}()
	var missing bool // messages were dropped, and onDropped was not called yet
	var before int   // how many messages come first
	for {
		select {
		case err := <-done:
			return err
		case gap := <-b.restored:
			b.onRestored(gap)
		case <-b.dropped:
			if !missing {
				missing, before = true, len(queue)
			}
		case m := <-queue:
			handle(ctx, m)
			before--
		}
		if missing && before <= 0 {
			missing = false
			b.onDropped()
		}
	}
}

// Ready waits until Run is connected and Redis has confirmed all channels. Call it before the service accepts clients,
// or in its readiness probe. An error means that ctx has ended before. It has the reason why Redis can't be reached, if
// that is known.
func (b *Backplane) Ready(ctx context.Context) error {
	b.mu.Lock()
	ready := b.ready
	b.mu.Unlock()
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
	}
	if reason := b.down.Load(); reason != nil {
		return fmt.Errorf("backplane: not ready: %w: %w: %w", context.Cause(ctx), ErrDown, *reason)
	}
	return fmt.Errorf("backplane: not ready: %w", context.Cause(ctx))
}

// receive keeps a connection, one after the other, until ctx ends.
func (b *Backplane) receive(ctx context.Context, queue chan<- Message) error {
	b.observed.SetUp(false)
	defer b.observed.SetUp(false)
	defer b.down.Store(nil)
	var proven time.Time // until when nothing has been missed
	for pause := shortestPause; ; pause = min(2*pause, longestPause) {
		c := b.connect(ctx, proven)
		err := b.serve(c, queue)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, redis.ErrClosed):
			return fmt.Errorf("backplane: the client has been closed: end Run by its context first: %w", err)
		}
		b.observed.SetUp(false)
		b.observed.Failed(ctx, fmt.Errorf("backplane: %w", err))
		if c.up {
			pause, proven = shortestPause, c.proven
		}
		switch {
		case errors.Is(err, errUndelivered): // others may get what is published
		case !c.up, errors.Is(err, errUnanswered): // otherwise the first attempt to reconnect will show
			b.down.Store(&err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
	}
}

// connect begins a connection. If Redis cannot be reached, it has ended already.
func (b *Backplane) connect(ctx context.Context, missedSince time.Time) *connection {
	c := newConnection(ctx, b.client.Subscribe(ctx), missedSince)
	c.send(ping) // before the channels are locked, because it dials
	b.mu.Lock()
	defer b.mu.Unlock()
	if channels := slices.Collect(maps.Keys(b.channels)); len(channels) > 0 {
		c.subscribed = c.send(subscribe, channels...)
		for _, ch := range channels {
			b.channels[ch] = c.subscribed
		}
	}
	c.heard = c.send(subscribe, b.heartbeat)
	b.echoes.begin()
	b.conn = c
	return c
}

// serve receives until the connection ends, and returns the reason.
func (b *Backplane) serve(c *connection, queue chan<- Message) error {
	var watching sync.WaitGroup
	watching.Go(func() { b.watch(c) })
	c.read(func(r *redis.Message) { b.enqueue(c.ctx, r, queue) })
	watching.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conn = nil
	if c.up {
		b.ready = make(chan struct{})
	}
	return c.reason
}

// watch pings until the connection ends, and closes it. The first answer means that all channels are subscribed,
// because Redis answers in order. It does not prove that messages arrive: after a failover, a Redis may answer to which
// nobody publishes.
func (b *Backplane) watch(c *connection) {
	defer c.pubsub.Close()
	for {
		sent := time.Now()
		timeout, cancel := context.WithTimeoutCause(c.ctx, b.pingTimeout, errUnanswered)
		err := c.send(ping).wait(timeout)
		cancel()
		if err == nil {
			err = c.subscribed.wait(c.ctx) // answered by now
		}
		if err != nil {
			c.end(err)
			return
		}
		b.down.Store(nil)
		proven, err := b.prove(c, sent)
		if err != nil {
			c.end(err)
			return
		}
		if !proven.IsZero() {
			b.connected(c, proven)
		}
		select {
		case <-c.ended:
			return
		case <-c.ctx.Done():
			c.end(c.ctx.Err())
			return
		case <-b.check:
		case <-time.After(b.pingInterval):
		}
	}
}

// connected notes that all messages until that time have arrived.
func (b *Backplane) connected(c *connection, proven time.Time) {
	b.observed.SetUp(true)
	c.proven = proven
	if c.up {
		return
	}
	c.up = true
	if !c.missedSince.IsZero() {
		b.tell(Gap{From: c.missedSince, To: time.Now()})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.ready)
}

// tell leaves the gap for Run to report. It joins the gap with an earlier one that Run has not reported yet.
func (b *Backplane) tell(gap Gap) {
	select {
	case untold := <-b.restored:
		gap.From = untold.From
	default:
	}
	b.restored <- gap
}

// enqueue leaves a message for Run to handle, unless it is a heartbeat.
func (b *Backplane) enqueue(ctx context.Context, r *redis.Message, queue chan<- Message) {
	if r.Channel == b.heartbeat {
		b.echoes.take(r.Channel, []byte(r.Payload))
		return
	}
	m, err := b.decode(r)
	if err != nil {
		b.observed.Received(instrument.BackplaneError)
		b.observed.Failed(ctx, fmt.Errorf("backplane: message on %q: %w", r.Channel, err))
		return
	}
	select {
	case queue <- m:
	default:
		b.observed.Received(instrument.BackplaneDropped)
		select {
		case b.dropped <- struct{}{}:
		default:
		}
	}
}
