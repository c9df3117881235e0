// Package poll is the demo's polling and long polling: plain requests for what was said in a room since the client last
// asked, which wait for it if they are told to. A poll is not a connection: it has no session, nobody in the room sees
// it come or go, and it is counted by metrics of its own.
package poll

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sockscope/sockscope/demo/admission"
	"github.com/sockscope/sockscope/demo/reply"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// Rooms has what was said.
type Rooms interface {
	// Said returns the first messages of a room after a sequence number or, without one, the newest. It reports false
	// if the next message after that number is not kept any more, or the room counts from 1 again.
	Said(ctx context.Context, room string, after *uint64) (piece wire.HistoryPayload, kept bool, err error)
	// Watch returns a channel that has a value soon after something was said in a room, until stop is called.
	Watch(ctx context.Context, room string) (said <-chan struct{}, stop func(), err error)
}

// Config is what a Handler works with.
type Config struct {
	// Gate lets polls in. It bounds how many are under way, in all and from one address.
	Gate       admission.Gate
	Rooms      Rooms
	Logger     *slog.Logger
	Registerer prometheus.Registerer // default: metrics are not registered

	WriteTimeout time.Duration // for one answer
	PerSecond    float64       // polls of one user, in the long run; twice as many at once
}

// Handler answers polls.
type Handler struct {
	cfg     Config
	metrics *metrics
	rates   *rates

	drained chan struct{}
	drain   sync.Once
}

// New returns a handler for the path of polls, for GET, with its metrics registered.
func New(cfg Config) (*Handler, error) {
	m, err := newMetrics(cfg.Registerer)
	return &Handler{cfg: cfg, metrics: m, rates: newRates(cfg.PerSecond), drained: make(chan struct{})}, err
}

// Drain has all polls that wait answer now, and later ones not wait. Close the gate first, so that clients that ask
// again are sent elsewhere.
func (h *Handler) Drain() { h.drain.Do(func() { close(h.drained) }) }

// ServeHTTP serves GET /poll?room=lobby&after=17&wait=30s.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	p := &poll{handler: h, outcome: failed} // as it is if a panic ends it
	defer func() {
		if p.wait > 0 {
			h.metrics.wait.WithLabelValues(string(p.outcome)).Observe(p.waited.Seconds())
		}
		h.metrics.handling.WithLabelValues(string(p.outcome)).Observe((time.Since(begin) - p.waited).Seconds())
	}()
	p.serve(w, r)
}

// poll is one request.
type poll struct {
	handler *Handler
	query

	outcome outcome
	waited  time.Duration
}

func (p *poll) serve(w http.ResponseWriter, r *http.Request) {
	release, refusal := p.enter(r)
	if refusal != nil {
		p.outcome = refused
		refusal.Answer(w, nil) // no handshake: a poll does not become a connection
		return
	}
	defer release()
	piece, err := p.find(r.Context())
	switch {
	case r.Context().Err() != nil:
		p.outcome = gone
	case err != nil:
		p.outcome = failed
		p.handler.cfg.Logger.WarnContext(r.Context(), "poll failed", "error", err)
		w.Header().Set("Retry-After", admission.RetryAfter)
		reply.Text(w, http.StatusServiceUnavailable, "the rooms can't be read now: try again later")
	case p.outcome == behind:
		reply.Text(w, http.StatusGone,
			"the message after this one is not kept any more, or the room counts from 1 again: ask without after")
	default:
		p.answer(w, r, piece)
	}
}

// enter reads the request and lets it in, until release.
func (p *poll) enter(r *http.Request) (release func(), _ *admission.Refusal) {
	release, who, refusal := p.handler.cfg.Gate.Enter(r.Context(), r)
	if refusal != nil {
		return nil, refusal
	}
	var err error
	p.query, err = parse(r.URL.RawQuery)
	switch {
	case who.User == "":
		refusal = admission.NoToken()
	case err != nil:
		refusal = admission.Refuse(instrument.StatusBadHandshake, http.StatusBadRequest, err.Error())
	case !p.handler.rates.allow(who.User):
		refusal = admission.Refuse(instrument.StatusRateLimited, http.StatusTooManyRequests,
			"you ask too often: ask less often, or wait for messages with the parameter wait")
	case !who.MayEnter(p.room):
		refusal = admission.Refuse(instrument.StatusForbidden, http.StatusForbidden, "your token does not open this room")
	default:
		if p.wait > 0 { // nobody gets what is said after their token has expired
			p.wait = max(1, min(p.wait, time.Until(who.Expires)))
		}
		return release, nil
	}
	release()
	return nil, refusal
}

// find returns what was said, which it waits for if there is nothing, and sets the outcome unless it fails.
func (p *poll) find(ctx context.Context) (wire.HistoryPayload, error) {
	if p.wait == 0 {
		piece, _, err := p.look(ctx)
		return piece, err
	}
	said, stop, err := p.handler.cfg.Rooms.Watch(ctx, p.room) // before the first look, so that nothing is said in between
	if err != nil {
		return wire.HistoryPayload{}, err
	}
	defer stop()
	timer := time.NewTimer(p.wait)
	defer timer.Stop()
	for {
		piece, found, err := p.look(ctx)
		if err != nil || found {
			return piece, err
		}
		if over := p.await(ctx, said, timer.C); over {
			return piece, nil
		}
	}
}

// look looks once, and reports whether it has found what ends the poll.
func (p *poll) look(ctx context.Context) (piece wire.HistoryPayload, found bool, err error) {
	piece, kept, err := p.handler.cfg.Rooms.Said(ctx, p.room, p.after)
	if err != nil {
		return piece, false, err
	}
	switch {
	case !kept:
		p.outcome = behind
	case len(piece.Messages) > 0:
		p.outcome = messages
	default:
		p.outcome = nothing
	}
	return piece, p.outcome != nothing, nil
}

// await returns when something was said, or the wait is over.
func (p *poll) await(ctx context.Context, said <-chan struct{}, end <-chan time.Time) (over bool) {
	waiting := p.handler.metrics.waiting
	waiting.Inc()
	defer waiting.Dec()
	defer func(begin time.Time) { p.waited += time.Since(begin) }(time.Now())
	select {
	case <-said:
		return false
	case <-end:
	case <-ctx.Done():
	case <-p.handler.drained:
		p.outcome = drained
	}
	return true
}

// answer answers with what was said, unless the client has it already.
func (p *poll) answer(w http.ResponseWriter, r *http.Request, piece wire.HistoryPayload) {
	f, err := wire.NewFrame(wire.TypeHistory, "", piece)
	if err != nil {
		p.outcome = failed
		reply.Text(w, http.StatusInternalServerError, err.Error())
		return
	}
	header := w.Header()
	header.Set("Cache-Control", "private, no-cache") // the client may keep it, and has to ask whether there is more
	header.Set("ETag", tag(piece))
	if p.outcome == drained {
		header.Set("Connection", "close") // so that the client's next request may come to another instance
	}
	if matches(r.Header.Get("If-None-Match"), tag(piece)) {
		if p.outcome == messages {
			p.outcome = nothing
		}
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Type", "application/json")
	// A client that does not read must not keep its place. A writer without deadlines keeps its own time.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(p.handler.cfg.WriteTimeout))
	_, _ = w.Write(f.Data) // an error means that the client is gone
}

// tag returns what tells the answers of one URL apart. It is weak, because each answer has an id and a time of its own.
func tag(piece wire.HistoryPayload) string {
	if len(piece.Messages) == 0 {
		return `W/"nothing"`
	}
	return `W/"` + piece.Messages[len(piece.Messages)-1].SavedID + `"`
}

// matches reports whether a list of tags, as in If-None-Match, has this one. Whether they are weak does not matter
// there (RFC 9110, section 13.1.2).
func matches(list, tag string) bool {
	for one := range strings.SplitSeq(list, ",") {
		one = strings.TrimSpace(one)
		if one == "*" || strings.TrimPrefix(one, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}
