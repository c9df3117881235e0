package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// connecting bounds the handshakes, and closes, under way at once.
	connecting = 32
	// settle is how long answers may take after the last message.
	settle = 5 * time.Second
	// startDelay gives every sender time to be ready for its first message.
	startDelay = 50 * time.Millisecond
)

// Run makes the load and returns what came of it. When ctx ends early, the
// result tells of the time until then. Every interval, and not before all are
// connected, progress is called with how things stand. The error is about load
// that could not be made; what the server did wrong is in the result.
func Run(ctx context.Context, cfg Config, interval time.Duration, progress func(Progress)) (*Result, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	p, err := newPlan(cfg)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	t := newTally()
	peers, err := connectAll(ctx, cfg, p, t)
	defer closeAll(peers)
	if err != nil {
		return nil, err
	}

	p.begin(time.Now().Add(startDelay))
	var senders sync.WaitGroup
	for _, c := range peers {
		senders.Go(func() { c.send(ctx) })
	}
	watching, watched := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	watch.Go(func() { t.watch(watching, cfg, p.start, interval, progress) })
	senders.Wait()
	sending := time.Since(p.start)
	t.awaitAnswers()
	watched()
	watch.Wait()
	return t.result(cfg, sending, ctx.Err() != nil), nil
}

// connectAll connects all peers. With the error come those that are connected
// and have to be closed.
func connectAll(ctx context.Context, cfg Config, p *plan, t *tally) ([]*peer, error) {
	group, dialing := errgroup.WithContext(ctx)
	group.SetLimit(connecting)
	all := make([]*peer, cfg.Connections)
	for i := range all {
		group.Go(func() error {
			c, err := connect(dialing, cfg, p, t, i)
			if err != nil {
				return fmt.Errorf("load: connection %d of %d, is the server running and its limit high enough? %w", i+1, cfg.Connections, err)
			}
			all[i] = c
			return nil
		})
	}
	err := group.Wait()
	if ctx.Err() != nil {
		err = fmt.Errorf("load: stopped before all were connected: %w", context.Cause(ctx))
	}
	return slices.DeleteFunc(all, func(c *peer) bool { return c == nil }), err
}

func closeAll(peers []*peer) {
	var group errgroup.Group
	group.SetLimit(connecting)
	for _, c := range peers {
		group.Go(func() error {
			c.close()
			return nil
		})
	}
	_ = group.Wait() // there are none
}

// awaitAnswers waits until all answers are there, or none has come for too long.
func (t *tally) awaitAnswers() {
	last, since := int64(-1), time.Now()
	for !t.settled() && time.Since(since) < settle {
		if n := t.acked.Load() + t.refused.Load() + t.delivered.Load(); n != last {
			last, since = n, time.Now()
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// watch reports progress until ctx ends.
func (t *tally) watch(ctx context.Context, cfg Config, start time.Time, interval time.Duration, progress func(Progress)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			progress(t.progress(cfg, now.Sub(start)))
		}
	}
}
