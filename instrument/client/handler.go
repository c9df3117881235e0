package client

import (
	"context"
	"log/slog"

	"github.com/sockscope/sockscope/instrument"
)

// item is one thing for the handler to do: to handle an event, or to restore a snapshot and handle what comes after it.
type item struct {
	stream  *stream
	epoch   uint64
	event   Event
	restore *restore
}

type restore struct {
	snapshot Snapshot
	rest     []Event
}

// handleAll does what is in the queue, one item after the other.
func (c *Client) handleAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case it := <-c.queue:
			c.handle(ctx, it)
		}
		if c.starved.Load() && c.caughtUp() {
			c.signal()
		}
	}
}

func (c *Client) handle(ctx context.Context, it item) {
	st := it.stream
	if it.epoch < st.skip.Load() || ctx.Err() != nil {
		return
	}
	told := &handled{epoch: it.epoch}
	if it.restore != nil {
		told.drifted, told.err = c.restore(ctx, st, it.restore)
		told.replayed = len(it.restore.rest)
	} else if told.err = c.handleEvent(ctx, it.event); told.err == nil {
		return
	}
	if told.err != nil {
		if ctx.Err() != nil {
			return
		}
		c.failed(instrument.ErrorHandler, recordNotHandled, told.err, slog.String("stream", st.Name))
		if !st.reconciles() {
			return
		}
		st.skipBefore(it.epoch + 1) // what follows builds upon it
	}
	st.result.Store(told)
	c.signal()
}

func (c *Client) restore(ctx context.Context, st *stream, r *restore) (drifted bool, err error) {
	err = guarded(func() (err error) {
		drifted, err = st.Restore(ctx, st.Name, r.snapshot)
		return err
	})
	if err != nil {
		return false, err
	}
	if drifted {
		st.metrics.drift.Inc()
	}
	for _, e := range r.rest {
		if err := c.handleEvent(ctx, e); err != nil {
			return drifted, err
		}
	}
	return drifted, nil
}

func (c *Client) handleEvent(ctx context.Context, e Event) error {
	return guarded(func() error { return c.feed.Handle(ctx, e) })
}
