package client

import (
	"context"
	"log/slog"
	"slices"

	"github.com/sockscope/sockscope/instrument"
)

// item is one task of the handler: to handle an event, or to restore a snapshot and handle the events after it.
type item struct {
	stream  *stream
	epoch   uint64
	event   Event
	span    *messageSpan // nil unless the message is sampled
	restore *restore
}

type restore struct {
	snapshot Snapshot
	rest     []Event
}

// handler processes the queue, one item after the other.
type handler struct {
	*Client
	taken   uint64          // items
	pending []pendingReport // streams that have been restored and are not live yet, by until
}

// pendingReport is a report about a restored stream. The handler sends it after it has taken all items that were queued
// at the restore, because before that the state is not up to date.
type pendingReport struct {
	stream *stream
	told   *handled
	until  uint64
	stalls int64
}

func (h *handler) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case it := <-h.queue:
			h.taken++
			h.handle(ctx, it)
			h.catchUp()
		}
		if h.starved.Load() && h.caughtUp() {
			h.signal()
		}
	}
}

// wait delays the report about a stream until all queued items are handled.
func (h *handler) wait(st *stream, told *handled) {
	h.pending = append(h.pending, pendingReport{stream: st, told: told, until: h.taken + uint64(len(h.queue)), stalls: h.stalls.Load()})
}

// catchUp reports the streams for which the handler has caught up.
func (h *handler) catchUp() {
	for len(h.pending) > 0 && h.pending[0].until <= h.taken {
		r := h.pending[0]
		h.pending = h.pending[1:]
		stalls := h.stalls.Load()
		switch {
		case r.told.epoch < r.stream.skip.Load():
			// The events that it waited for have failed, or are thrown away.
		case len(h.queue) > 0 && (stalls != r.stalls || stalls%2 == 1):
			h.wait(r.stream, r.told) // for what was received meanwhile and found no room
		default:
			r.stream.result.Store(r.told)
			h.signal()
		}
	}
}

func (h *handler) handle(ctx context.Context, it item) {
	st := it.stream
	if it.epoch < st.skip.Load() {
		st.metrics.superseded.Add(float64(it.events()))
		return
	}
	if ctx.Err() != nil {
		return
	}
	told := &handled{epoch: it.epoch}
	if it.restore != nil {
		h.pending = slices.DeleteFunc(h.pending, func(r pendingReport) bool { return r.stream == st })
		told.drifted, told.err = h.restore(ctx, st, it.restore)
		told.replayed = len(it.restore.rest)
	} else {
		told.err = h.handleItem(ctx, it)
	}
	switch {
	case told.err == nil && it.restore != nil:
		h.wait(st, told)
	case told.err == nil || ctx.Err() != nil:
	default:
		h.failed(instrument.ErrorHandler, recordNotHandled, told.err, slog.String("stream", st.Name))
		if st.reconciles() {
			st.skipBefore(it.epoch + 1) // what follows builds upon it
			st.result.Store(told)
			h.signal()
		}
	}
}

// events returns how many events there are in the item.
func (it item) events() int {
	if it.restore != nil {
		return len(it.restore.rest)
	}
	return 1
}

// restore restores the snapshot, and handles the events after it.
func (h *handler) restore(ctx context.Context, st *stream, r *restore) (drifted bool, err error) {
	if drifted, err = h.replaceState(ctx, st, r.snapshot); err != nil {
		st.metrics.superseded.Add(float64(len(r.rest)))
		return false, err
	}
	for i, e := range r.rest {
		if err := h.handleEvent(ctx, e); err != nil {
			st.metrics.superseded.Add(float64(len(r.rest) - i - 1))
			return drifted, err
		}
	}
	return drifted, nil
}

func (h *handler) replaceState(ctx context.Context, st *stream, s Snapshot) (drifted bool, err error) {
	err = guarded(func() (err error) {
		drifted, err = st.Restore(ctx, st.Name, s)
		return err
	})
	if err != nil {
		return false, err
	}
	if drifted {
		st.metrics.drift.Inc()
	}
	return drifted, nil
}

func (h *handler) handleItem(ctx context.Context, it item) error {
	ctx, end := h.tracing.begin(ctx, it)
	err := h.apply(ctx, it.stream, it.event)
	end(err)
	return err
}

// apply handles an event. The event may be a snapshot that confirms the state.
func (h *handler) apply(ctx context.Context, st *stream, e Event) error {
	if e.Snapshot && st.reconciles() {
		number, _ := snapshotNumber(&e) // it was checked by observe
		_, err := h.replaceState(ctx, st, Snapshot{Last: number, Value: e.Value})
		return err
	}
	return h.handleEvent(ctx, e)
}

func (h *handler) handleEvent(ctx context.Context, e Event) error {
	return guarded(func() error { return h.feed.Handle(ctx, e) })
}
