package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"sync"

	"github.com/google/uuid"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/sse"
)

// sessionHeader names the event stream that a POST belongs to.
const sessionHeader = "Sockscope-Session"

// events is a stream of server-sent events and its session: what the client sends comes by POST, and every answer as an
// event.
type events struct {
	*session
	stream *sse.Stream

	mu     sync.Mutex
	cursor cursor // what the client has got of its rooms
	closed chan struct{}
	once   sync.Once
}

// serveEvents serves GET /events?room=lobby&room=dev&stream=market.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	ctx, handshake := s.streams.observer.BeginHandshake(r.Context(), instrument.HTTPRequest(r))
	release, who, refused := s.enter(ctx, r)
	if refused == nil && who.User == "" {
		release()
		refused = refuse(instrument.StatusUnauthorized, http.StatusUnauthorized, "send a token: Authorization: Bearer …")
	}
	if refused != nil {
		refused.write(w, handshake)
		return
	}
	defer release()
	stream, err := sse.Accept(w, r.WithContext(ctx), s.streams.observer)
	if err != nil {
		return // answered, counted and logged
	}
	defer stream.Close()
	stream.SetWriteTimeout(s.cfg.Limits.Write)
	rooms := r.URL.Query()["room"]
	e := &events{stream: stream, cursor: newCursor(rooms, stream.LastEventID()), closed: make(chan struct{})}
	e.session = newSession(s, s.streams, stream.Observed(), e)
	s.listStream(e) // before its welcome, which a client may answer at once
	defer s.unlistStream(e)
	e.begin(who)
	ctx = e.seen.Context(r.Context())
	defer e.end(context.WithoutCancel(ctx))

	e.ask(ctx, rooms, r.URL.Query()["stream"])
	select {
	case <-r.Context().Done():
	case <-e.closed:
	}
}

// ask does what a WebSocket client asks for in messages of its own: it joins rooms and subscribes to streams.
func (e *events) ask(ctx context.Context, rooms, streams []string) {
	for i, room := range rooms {
		if i == e.server.cfg.Limits.RoomsPerConnection+1 {
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
		e.seen.Failed(ctx, instrument.ErrorHandler, err)
		return
	}
	e.receive(ctx, f.Data, wire.Decode)
}

// serveSend serves POST /events: one message to the server, on behalf of the event stream that the header names. What is
// refused is an error of that stream, if there is one.
func (s *Server) serveSend(w http.ResponseWriter, r *http.Request) {
	e := s.listedStream(r.Header.Get(sessionHeader))
	who, refused := s.sender(r, e)
	if refused != nil {
		e.turnAway(w, r, refused)
		return
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, wire.MaxFrameBytes))
	if err != nil {
		e.seen.Failed(r.Context(), instrument.ErrorRead, err)
		plain(w, http.StatusRequestEntityTooLarge, "the message is too long or has not come in one piece")
		return
	}
	env, err := wire.Decode(data)
	// The stream may be open to more rooms than who posts: it is another token's.
	if room := env.Room(); room != "" && !who.MayEnter(room) {
		e.turnAway(w, r, refuse(instrument.StatusForbidden, http.StatusForbidden, "your token does not open this room"))
		return
	}
	// As over a WebSocket, what has come is done even if who sent it is gone.
	ctx := e.seen.Context(context.WithoutCancel(r.Context()))
	defer e.recovered(ctx, w)
	if !e.receive(ctx, data, func([]byte) (wire.Envelope, error) { return env, err }) {
		w.Header().Set("Retry-After", retryAfter)
		plain(w, http.StatusServiceUnavailable, "the stream is at its end: open another")
		return
	}
	plain(w, http.StatusAccepted, "the answer comes as an event")
}

// turnAway answers a POST that is refused. It may be for no stream, a nil one.
func (e *events) turnAway(w http.ResponseWriter, r *http.Request, refused *refusal) {
	if e != nil {
		e.seen.Failed(r.Context(), instrument.ErrorAuth, refused)
	}
	plain(w, refused.code, refused.Error())
}

// sender returns who sends a request on behalf of a stream, or why it may not.
func (s *Server) sender(r *http.Request, e *events) (auth.Identity, *refusal) {
	if err := s.cfg.Origins.Check(r); err != nil {
		return auth.Identity{}, refuse(instrument.StatusForbidden, http.StatusForbidden, err.Error())
	}
	who, err := s.authenticate(r.Context(), r)
	switch {
	case err != nil:
		return who, refuse(instrument.StatusUnauthorized, http.StatusUnauthorized, err.Error())
	case who.User == "":
		return who, refuse(instrument.StatusUnauthorized, http.StatusUnauthorized, "send a token: Authorization: Bearer …")
	case e == nil || e.identity().User != who.User:
		return who, refuse(instrument.StatusForbidden, http.StatusNotFound,
			"no stream of yours with this "+sessionHeader+" is open here: GET /events first; it is in welcome")
	}
	return who, nil
}

// recovered ends the stream of whose message the handler has panicked, as a WebSocket ends then.
func (e *events) recovered(ctx context.Context, w http.ResponseWriter) {
	v := recover()
	if v == nil {
		return
	}
	err := fmt.Errorf("panic: %v", v)
	e.seen.Failed(ctx, instrument.ErrorPanic, err)
	e.server.logger.ErrorContext(ctx, "panic", "error", err, "stack", string(debug.Stack()))
	e.close(instrument.ReasonInternal, 0, "")
	plain(w, http.StatusInternalServerError, "the server has failed: open the stream again")
}

func (e *events) write(f *wire.Frame) (instrument.MessageType, int, error) {
	e.mu.Lock()
	id := e.cursor.advance(f)
	e.mu.Unlock()
	return e.observed.messageType(f.Type), len(f.Data), e.stream.Send(sse.Event{ID: id, Type: string(f.Type), Data: f.Data})
}

// ping finds out a peer that has silently vanished, if it doesn't take a comment for too long.
func (e *events) ping() { _ = e.stream.Comment("") } // an error has ended the stream

func (e *events) close(reason instrument.CloseReason, _ int, _ string) {
	e.stream.CloseFor(reason)
	e.cut()
}

// cut ends the stream before the handler does, because a write under way would hold that up.
func (e *events) cut() {
	e.stream.Close()
	e.once.Do(func() { close(e.closed) })
}

// vanish cuts: over HTTP, who leaves and who is lost look the same.
func (e *events) vanish() { e.cut() }

func (s *Server) listStream(e *events) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.eventStreams[e.seen.ID()] = e
}

func (s *Server) unlistStream(e *events) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.eventStreams, e.seen.ID())
}

func (s *Server) listedStream(id string) *events {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.eventStreams[id]
}
