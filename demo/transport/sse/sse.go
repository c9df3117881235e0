// Package sse is the demo's server-sent events: every frame is an event, and what the client sends comes by POST.
package sse

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/sockscope/sockscope/demo/admission"
	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/demo/reply"
	"github.com/sockscope/sockscope/demo/session"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/sse"
)

// SessionHeader names the event stream that a POST belongs to.
const SessionHeader = "Sockscope-Session"

// Config is what a Handler works with.
type Config struct {
	Gate     admission.Gate
	Sessions session.Opener
	Observer *observe.Observer

	WriteTimeout    time.Duration // for one event
	RoomsPerSession int           // how many rooms a session may be in; more need not be asked for
}

// Handler serves event streams.
type Handler struct {
	cfg Config

	mu      sync.Mutex
	streams map[string]*events // those that are open, by the id of their connection
}

// New returns a handler for the path of event streams, for GET and POST.
func New(cfg Config) *Handler { return &Handler{cfg: cfg, streams: make(map[string]*events)} }

// ServeHTTP serves a stream to GET, and takes what its client sends by POST.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		h.serveSend(w, r)
		return
	}
	h.serveStream(w, r)
}

// events is a stream of server-sent events, the link of its session: what the client sends comes by POST, and every
// answer as an event.
type events struct {
	handler *Handler
	session *session.Session
	stream  *sse.Stream

	mu     sync.Mutex
	cursor cursor // what the client has got of its rooms
	closed chan struct{}
	once   sync.Once
}

// serveStream serves GET /events?room=lobby&room=dev&stream=market.
func (h *Handler) serveStream(w http.ResponseWriter, r *http.Request) {
	ctx, handshake := h.cfg.Observer.BeginHandshake(r.Context(), instrument.HTTPRequest(r))
	release, who, refused := h.cfg.Gate.Enter(ctx, r)
	if refused == nil && who.User == "" {
		release()
		refused = admission.NoToken()
	}
	if refused != nil {
		refused.Answer(w, handshake)
		return
	}
	defer release()
	stream, err := sse.Accept(w, r.WithContext(ctx), h.cfg.Observer.Observer)
	if err != nil {
		return // answered, counted and logged
	}
	defer stream.Close()
	stream.SetWriteTimeout(h.cfg.WriteTimeout)
	rooms := r.URL.Query()["room"]
	e := &events{handler: h, stream: stream, cursor: newCursor(rooms, stream.LastEventID()), closed: make(chan struct{})}
	e.session = h.cfg.Sessions.Open(h.cfg.Observer, stream.Observed(), e)
	h.list(e) // before its welcome, which a client may answer at once
	defer h.unlist(e)
	e.session.Begin(who)
	ctx = stream.Observed().Context(r.Context())
	defer e.session.End(context.WithoutCancel(ctx))

	e.ask(ctx, rooms, r.URL.Query()["stream"])
	select {
	case <-r.Context().Done():
	case <-e.closed:
	}
}

// ask does what a WebSocket client asks for in messages of its own: it joins rooms and subscribes to streams.
func (e *events) ask(ctx context.Context, rooms, streams []string) {
	for i, room := range rooms {
		if i == e.handler.cfg.RoomsPerSession+1 {
			break // the one before has been refused
		}
		e.request(ctx, wire.TypeJoin, wire.JoinPayload{Room: room, After: e.cursor.after(room)})
	}
	for _, stream := range streams[:min(len(streams), len(rooms)+2)] {
		e.request(ctx, wire.TypeSubscribe, wire.StreamPayload{Stream: stream})
	}
}

func (e *events) request(ctx context.Context, typ wire.Type, payload any) {
	f, err := wire.NewFrame(typ, uuid.NewString(), payload)
	if err != nil {
		e.stream.Observed().Failed(ctx, instrument.ErrorHandler, err)
		return
	}
	e.session.Receive(ctx, f.Data, wire.Decode)
}

// serveSend serves POST /events: one message to the server, on behalf of the event stream that the header names. A
// refusal is an error of that stream, if there is one.
func (h *Handler) serveSend(w http.ResponseWriter, r *http.Request) {
	e := h.listed(r.Header.Get(SessionHeader))
	who, refused := h.sender(r, e)
	if refused != nil {
		e.turnAway(w, r, refused)
		return
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, wire.MaxFrameBytes))
	if err != nil {
		e.stream.Observed().Failed(r.Context(), instrument.ErrorRead, err)
		reply.Text(w, http.StatusRequestEntityTooLarge, "the message is too long or has not come in one piece")
		return
	}
	env, err := wire.Decode(data)
	// The stream may be open to more rooms than who posts: it is another token's.
	if room := env.Room(); room != "" && !who.MayEnter(room) {
		e.turnAway(w, r, admission.Refuse(instrument.StatusForbidden, http.StatusForbidden, "your token does not open this room"))
		return
	}
	// As over a WebSocket, what has come is done even if who sent it is gone.
	ctx := e.stream.Observed().Context(context.WithoutCancel(r.Context()))
	defer e.recovered(w)
	if !e.session.Receive(ctx, data, func([]byte) (wire.Envelope, error) { return env, err }) {
		w.Header().Set("Retry-After", admission.RetryAfter)
		reply.Text(w, http.StatusServiceUnavailable, "the stream is at its end: open another")
		return
	}
	reply.Text(w, http.StatusAccepted, "the answer comes as an event")
}

// turnAway answers a POST that is refused. It may be for no stream, a nil one.
func (e *events) turnAway(w http.ResponseWriter, r *http.Request, refused *admission.Refusal) {
	if e != nil {
		e.stream.Observed().Failed(r.Context(), instrument.ErrorAuth, refused.Reason)
	}
	reply.Text(w, refused.Code, refused.Reason.Error())
}

// sender returns who sends a request on behalf of a stream, or why it may not.
func (h *Handler) sender(r *http.Request, e *events) (auth.Identity, *admission.Refusal) {
	who, refused := h.cfg.Gate.Check(r.Context(), r)
	if refused == nil && (e == nil || e.session.Identity().User != who.User) {
		refused = admission.Refuse(instrument.StatusForbidden, http.StatusNotFound,
			"no stream of yours with this "+SessionHeader+" is open here: GET /events first; it is in welcome")
	}
	return who, refused
}

// recovered ends the stream of whose message the handler has panicked, as a WebSocket ends then. The session has
// counted and logged the panic.
func (e *events) recovered(w http.ResponseWriter) {
	if recover() == nil {
		return
	}
	e.Close(instrument.ReasonInternal, "")
	reply.Text(w, http.StatusInternalServerError, "the server has failed: open the stream again")
}

// Write implements session.Link.
func (e *events) Write(f *wire.Frame) (instrument.MessageType, int, error) {
	typ, event := e.event(f)
	return typ, len(f.Data), e.stream.Send(event)
}

// WriteAll implements session.Gatherer.
func (e *events) WriteAll(b session.Batch) {
	all := make([]sse.Event, 0, len(b))
	b.WriteEach(func(f *wire.Frame) (instrument.MessageType, int, error) {
		typ, event := e.event(f)
		all = append(all, event)
		return typ, len(f.Data), nil
	})
	if err := e.stream.Send(all...); err != nil {
		b.Fail(0, err)
	}
}

// event returns a frame as an event, after all those before.
func (e *events) event(f *wire.Frame) (instrument.MessageType, sse.Event) {
	e.mu.Lock()
	id := e.cursor.advance(f)
	e.mu.Unlock()
	return e.handler.cfg.Observer.TypeOf(f.Type), sse.Event{ID: id, Type: string(f.Type), Data: f.Data}
}

// Ping implements session.Link: it finds out a peer that has silently vanished, if it doesn't take a comment for too
// long.
func (e *events) Ping() { _ = e.stream.Comment("") } // an error has ended the stream

// Close implements session.Link.
func (e *events) Close(reason instrument.CloseReason, _ string) {
	e.stream.CloseFor(reason)
	e.Cut()
}

// Cut implements session.Link: it ends the stream before the handler does, because a write under way would hold that
// up.
func (e *events) Cut() {
	e.stream.Close()
	e.once.Do(func() { close(e.closed) })
}

func (h *Handler) list(e *events) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams[e.stream.Observed().ID()] = e
}

func (h *Handler) unlist(e *events) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.streams, e.stream.Observed().ID())
}

func (h *Handler) listed(id string) *events {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.streams[id]
}
