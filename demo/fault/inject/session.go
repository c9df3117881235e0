package inject

import (
	"context"
	"fmt"
	"time"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/demo/outbox"
	"github.com/sockscope/sockscope/demo/session"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

const (
	// watchEvery is how soon a fault of all sessions finds one that has come meanwhile.
	watchEvery = 100 * time.Millisecond
	// mostBurden bounds connection_memory, in bytes.
	mostBurden = 1 << 30
	// pageSize is, at most, what the system gives memory in: less than all of it need not be touched.
	pageSize = 4 << 10
)

// Handler decorates what handles requests: slow_handling, handler_panics.
func (f *Faults) Handler(next session.Handler) session.Handler {
	return func(ctx context.Context, s *session.Session, env *wire.Envelope) error {
		f.beforeHandling(ctx, env.Type)
		return next(ctx, s, env)
	}
}

func (f *Faults) beforeHandling(ctx context.Context, typ wire.Type) {
	f.slowHandling.Hold(ctx, milliseconds(f.slowHandling))
	if f.handlerPanics.Hits() {
		panic(fmt.Sprintf("the fault %s: %s", f.handlerPanics.Name, typ)) //nolint:forbidigo // that is the fault
	}
}

// Post decorates what says something on behalf of users without a session: slow_handling, handler_panics.
func (f *Faults) Post(
	next func(ctx context.Context, who auth.Identity, id string, p wire.MessagePayload) (wire.AckPayload, error),
) func(context.Context, auth.Identity, string, wire.MessagePayload) (wire.AckPayload, error) {
	return func(ctx context.Context, who auth.Identity, id string, p wire.MessagePayload) (wire.AckPayload, error) {
		f.beforeHandling(ctx, wire.TypeMessage)
		return next(ctx, who, id, p)
	}
}

// Opener decorates the links of sessions: silence, dropped_deliveries.
func (f *Faults) Opener(o session.Opener) session.Opener { return faultyOpener{o, f} }

type faultyOpener struct {
	session.Opener
	faults *Faults
}

// Open implements session.Opener.
func (o faultyOpener) Open(obs *observe.Observer, conn *instrument.Conn, l session.Link) *session.Session {
	return o.Opener.Open(obs, conn, faultyLink{l, o.faults})
}

type faultyLink struct {
	session.Link
	faults *Faults
}

// Write implements session.Link.
func (l faultyLink) Write(f *wire.Frame) (instrument.MessageType, int, error) {
	if l.faults.withholds(f) {
		return instrument.MessageType{}, 0, outbox.ErrExpired
	}
	return l.Link.Write(f)
}

// WriteAll implements session.Gatherer.
func (l faultyLink) WriteAll(b session.Batch) {
	for i := range b {
		if l.faults.withholds(b[i].Frame) {
			b[i].Err = outbox.ErrExpired
		}
	}
	session.WriteAll(l.Link, b)
}

// withholds reports whether a frame is not sent to one of its recipients.
func (f *Faults) withholds(frame *wire.Frame) bool {
	switch frame.Type {
	case wire.TypeMessage, wire.TypeTicks, wire.TypeNotification:
		return f.silence.On() || f.droppedDeliveries.Hits()
	}
	return f.silence.On()
}

// watch calls each with all sessions, now and then until ctx ends.
func (f *Faults) watch(ctx context.Context, each func([]*session.Session)) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		each(f.target.Sessions.All())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// expiryWall is when token_expiry has all tokens expire, the zero time while it is off.
func (f *Faults) expiryWall() time.Time {
	state := f.tokenExpiry.State()
	if !state.On {
		return time.Time{}
	}
	return state.Began.Add(time.Duration(state.Strength * float64(time.Second)))
}

// moveExpiry is token_expiry: it has the tokens of all sessions expire when the fault says so and, when it is healed
// before, when they themselves say so.
func (f *Faults) moveExpiry(ctx context.Context, _ float64) {
	wall := f.expiryWall()
	f.watch(ctx, func(all []*session.Session) {
		if !wall.After(time.Now()) {
			return
		}
		for _, s := range all {
			if s.Expires().After(wall) {
				s.Expire(wall)
			}
		}
	})
	for _, s := range f.target.Sessions.All() {
		if s.Expires().Equal(wall) {
			s.Expire(s.Identity().Expires)
		}
	}
}

// burden is connection_memory: it gives every session memory to hold, while there is some left. One episode waits for
// the one before to give its memory back.
func (f *Faults) burden(ctx context.Context, kibibytes float64) {
	f.burdened.Lock()
	defer f.burdened.Unlock()
	held := make(map[*session.Session][]byte)
	f.watch(ctx, func(all []*session.Session) { load(held, all, int(kibibytes)<<10, mostBurden) })
}

// load has each session hold memory of that size, at most so much in all, and takes it back from those that have gone.
func load(held map[*session.Session][]byte, all []*session.Session, size, most int) {
	open := make(map[*session.Session]struct{}, len(all))
	for _, s := range all {
		open[s] = struct{}{}
	}
	for s := range held {
		if _, ok := open[s]; !ok {
			delete(held, s)
		}
	}
	for s := range open {
		if len(held) == most/size {
			return
		}
		if held[s] != nil {
			continue
		}
		burden := make([]byte, size)
		for i := 0; i < size; i += pageSize {
			burden[i] = 1 // else there would be no memory behind it
		}
		held[s] = burden
	}
}
