package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/sockscope/sockscope/demo/fault"
	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/market"
	"github.com/sockscope/sockscope/demo/page"
	"github.com/sockscope/sockscope/demo/room"
)

// Server is one node of the service. Make one with New, Run it, serve its Handler, and end it with Shutdown.
type Server struct {
	cfg     Config
	sockets *observed // WebSockets
	streams *observed // server-sent events
	logger  *slog.Logger
	page    http.Handler
	market  *market.Market
	rooms   *room.Rooms
	topics  room.Topics
	cluster *cluster
	faults  *faults

	// live ends when every connection has to be gone.
	live context.Context
	kill context.CancelFunc

	writeBuffers sync.Pool // of the WebSockets that are writing
	admission    admission
	running      sync.WaitGroup // what connections have started

	received, sent atomic.Int64 // messages, for the dashboard

	mu       sync.Mutex
	draining bool
	sessions map[*session]struct{} // open connections

	eventStreams map[string]*events // those of server-sent events, by session id
}

// New returns a server, with its metrics registered.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	faults, err := newFaults(noBackplane(cfg.Redis))
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	cfg.History = history.WithTimeout(faultyStore{cfg.History, faults}, cfg.Limits.Store)
	if cfg.Node == "" {
		cfg.Node = uuid.NewString()[:8]
	}
	s := &Server{
		cfg: cfg, logger: newLogger(cfg), faults: faults, sessions: make(map[*session]struct{}),
		eventStreams: make(map[string]*events),
		admission:    admission{limits: cfg.Limits},
	}
	s.live, s.kill = context.WithCancel(context.Background())
	if s.sockets, err = observeSockets(cfg); err != nil {
		return nil, fmt.Errorf("demo: observe: %w", err)
	}
	if s.streams, err = observeStreams(cfg); err != nil {
		return nil, fmt.Errorf("demo: observe: %w", err)
	}
	if cfg.Console != nil {
		cfg.Console.Observe(s.sockets.observer)
		cfg.Console.Observe(s.streams.observer)
	}
	if s.page, err = page.Handler(cfg.TraceURL); err != nil {
		return nil, fmt.Errorf("demo: prepare the page: %w", err)
	}
	if s.market, err = market.New(market.Config{}); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	s.rooms = room.New(room.Config{
		History: cfg.History, Observer: s.sockets.observer, Limit: cfg.Limits.Rooms, Disturb: faults.rooms.frames,
	})
	if s.cluster, err = newCluster(s); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return s, nil
}

// Run does what goes on beside the connections until ctx ends: it keeps in touch with the other nodes and publishes the
// market and the dashboard.
func (s *Server) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var running sync.WaitGroup
	running.Go(func() { s.market.Run(ctx, s.cfg.BatchWindow, s.publishTicks) })
	running.Go(func() { s.runDashboard(ctx) })
	err := s.cluster.run(ctx)
	stop()
	running.Wait()
	return err
}

// Handler serves all there is, see routes.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /", s.page)
	mux.HandleFunc("GET /ws", s.serveSocket)
	mux.HandleFunc("GET /events", s.serveEvents)
	mux.HandleFunc("POST /events", s.serveSend)
	mux.Handle("GET /api/market", s.market.Handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.serveReady)
	if s.cfg.Metrics != nil {
		mux.Handle("GET /metrics", s.cfg.Metrics)
	}
	if s.cfg.Console != nil {
		s.cfg.ConsoleAccess.handle(mux, s.cfg.Console, "GET /debug/realtime/")
	}
	s.cfg.DevTokens.handle(mux, s.cfg.Authority.DevHandler(), "POST /auth/token")
	s.cfg.FaultAPI.handle(mux, fault.NewAPI(s.strike, s.faults.all...).Handler(), "GET /fault", "PUT /fault/", "DELETE /fault/")
	return mux
}

// serveReady says whether this node can take connections: not while it drains, nor without its store or the others.
func (s *Server) serveReady(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	switch err := errors.Join(s.cfg.History.Ping(ctx), s.cluster.ready(ctx)); {
	case s.isDraining():
		plain(w, http.StatusServiceUnavailable, "draining")
	case err != nil:
		plain(w, http.StatusServiceUnavailable, err.Error())
	default:
		plain(w, http.StatusOK, "ready")
	}
}

// Shutdown drains the server: new connections are refused, every client is told and gets what was queued for it before
// its connection is closed with 1012. When ctx ends first, what is left is cut off and Shutdown returns an error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.admission.close()
	s.mu.Lock()
	s.draining = true
	s.faults.heal()
	defer s.faults.badDrain.TurnOff()
	s.sockets.observer.SetDraining(true)
	s.streams.observer.SetDraining(true)
	for c := range s.sessions {
		s.running.Go(func() { c.drain(s.drainDelay()) })
	}
	s.mu.Unlock()

	done := make(chan struct{})
	go func() {
		s.admission.running.Wait()
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		s.kill()
		return nil
	case <-ctx.Done():
	}
	left := s.cutAll()
	<-done
	return fmt.Errorf("demo: cut off %d connections that had not drained: %w", left, context.Cause(ctx))
}

// drainDelay is how long a connection stays after a drain has begun.
func (s *Server) drainDelay() time.Duration {
	if s.cfg.DrainSpread <= 0 {
		return 0
	}
	return rand.N(s.cfg.DrainSpread)
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// cutAll takes away every connection, now and later, and returns how many there were.
func (s *Server) cutAll() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill()
	for c := range s.sessions {
		c.link.cut()
	}
	return len(s.sessions)
}

// add lists an open connection. One that was let in just before the drain is drained like the others.
func (s *Server) add(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[c] = struct{}{}
	s.faults.load(c)
	if s.live.Err() != nil {
		c.link.cut()
	}
	if s.draining {
		s.running.Go(func() { c.drain(s.drainDelay()) })
	}
}

func (s *Server) remove(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, c)
	s.faults.unload(c)
}

func plain(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	// An error here means that the caller is gone.
	_, _ = fmt.Fprintln(w, text)
}
