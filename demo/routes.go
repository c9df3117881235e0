package demo

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sockscope/sockscope/demo/reply"
	"github.com/sockscope/sockscope/instrument/browser"
)

// readyTimeout is how long the store and the other nodes get to say that they are there.
const readyTimeout = 2 * time.Second

// Handler serves all there is.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /", s.page)
	mux.Handle("GET /ws", browser.Headers(s.sockets))
	mux.Handle("GET /events", browser.Headers(s.events))
	mux.Handle("POST /events", s.posts)
	mux.Handle("GET /poll", s.polls)
	mux.Handle("GET /socket.io/", s.socketIOWire)
	mux.Handle("POST /socket.io/", s.socketIOWire)
	mux.Handle("GET /api/market", s.market.Handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { reply.Text(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.serveReady)
	if s.cfg.Metrics != nil {
		mux.Handle("GET /metrics", s.cfg.Metrics)
	}
	if s.cfg.Console != nil {
		s.cfg.ConsoleAccess.handle(mux, s.cfg.Console, "GET /debug/realtime/")
	}
	s.cfg.DevTokens.handle(mux, s.cfg.Authority.DevHandler(), "POST /auth/token")
	s.cfg.FaultAPI.handle(mux, s.faults.API(), "GET /fault", "PUT /fault/", "DELETE /fault/")
	return mux
}

// ready says what keeps this node from serving, nothing if it can.
func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return errors.Join(s.history.Ping(ctx), s.cluster.Ready(ctx))
}

// serveReady says whether this node can take connections: not while it drains, nor without its store or the others.
func (s *Server) serveReady(w http.ResponseWriter, r *http.Request) {
	switch err := s.ready(r.Context()); {
	case s.sessions.Draining():
		reply.Text(w, http.StatusServiceUnavailable, "draining")
	case err != nil:
		reply.Text(w, http.StatusServiceUnavailable, err.Error())
	default:
		reply.Text(w, http.StatusOK, "ready")
	}
}
