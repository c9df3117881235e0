package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/sockscope/sockscope/demo/fault"
	"github.com/sockscope/sockscope/demo/room"
	"github.com/sockscope/sockscope/instrument"
)

// Server is the chat. Make one with New, serve its Handler, and end it with
// Shutdown.
type Server struct {
	cfg      Config
	observed *observed
	page     http.Handler
	hub      *room.Hub
	faults   faults

	// live ends when every connection has to be gone.
	live context.Context
	kill context.CancelFunc
	// running counts handshakes that were let in, and all that they started.
	running sync.WaitGroup

	mu       sync.Mutex
	draining bool
	admitted int                   // connections, and handshakes under way
	sessions map[*session]struct{} // open connections
}

// New returns a server, with its metrics registered.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	observed, err := observe(cfg)
	if err != nil {
		return nil, fmt.Errorf("demo: observe: %w", err)
	}
	page, err := pageHandler(cfg.TraceURL)
	if err != nil {
		return nil, fmt.Errorf("demo: prepare the page: %w", err)
	}
	live, kill := context.WithCancel(context.Background())
	return &Server{
		cfg:      cfg,
		observed: observed,
		page:     page,
		hub:      room.NewHub(cfg.RoomLimit),
		faults:   newFaults(),
		live:     live,
		kill:     kill,
		sessions: make(map[*session]struct{}),
	}, nil
}

// Handler serves the page, the WebSocket at /ws, /metrics, /healthz, /readyz
// and the fault API at /fault.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /", s.page)
	mux.HandleFunc("GET /ws", s.serveSocket)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		plain(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if s.isDraining() {
			plain(w, http.StatusServiceUnavailable, "draining")
			return
		}
		plain(w, http.StatusOK, "ready")
	})
	if s.cfg.Metrics != nil {
		mux.Handle("GET /metrics", s.cfg.Metrics)
	}
	faults := fault.NewAPI(s.strike, s.faults.all()...).Handler()
	if !s.cfg.OpenFaultAPI {
		faults = fault.LocalOnly(faults)
	}
	mux.Handle("GET /fault", faults)
	mux.Handle("PUT /fault/", faults)
	mux.Handle("DELETE /fault/", faults)
	return mux
}

// Shutdown drains the server: new connections are refused, every client is
// told and gets what was queued for it before its connection is closed with
// 1012. When ctx ends first, what is left is cut off and Shutdown returns an
// error.
func (s *Server) Shutdown(ctx context.Context) error {
	for _, f := range s.faults.all() {
		f.TurnOff()
	}
	s.mu.Lock()
	s.draining = true
	s.observed.observer.SetDraining(true)
	for c := range s.sessions {
		s.running.Go(c.drain)
	}
	s.mu.Unlock()

	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		s.kill()
		return nil
	case <-ctx.Done():
	}
	left := s.open()
	s.kill()
	<-done
	return fmt.Errorf("demo: cut off %d connections that had not drained: %w", left, context.Cause(ctx))
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

func (s *Server) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

var (
	errDraining = errors.New("the server is draining: try another or again later")
	errFull     = errors.New("the server has as many connections as it may: try again later")
)

// admit takes a place for a connection. What it gives has to be called when
// the connection is gone.
func (s *Server) admit() (release func(), status instrument.Status, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.draining:
		return nil, instrument.StatusDraining, errDraining
	case s.admitted >= s.cfg.ConnectionLimit:
		return nil, instrument.StatusOverCapacity, errFull
	}
	s.admitted++
	s.running.Add(1)
	return func() {
		s.mu.Lock()
		s.admitted--
		s.mu.Unlock()
		s.running.Done()
	}, instrument.StatusConnected, nil
}

// add lists an open connection. One that was let in just before the drain is
// drained like the others.
func (s *Server) add(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[c] = struct{}{}
	if s.draining {
		s.running.Go(c.drain)
	}
}

func (s *Server) remove(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, c)
}

func plain(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	// An error here means that the caller is gone.
	_, _ = fmt.Fprintln(w, text)
}
