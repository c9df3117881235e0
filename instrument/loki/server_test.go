package loki

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/golang/snappy"
	lokipush "github.com/grafana/loki/pkg/push"
)

// server is a push endpoint that can be away, hang or fail, at one address.
type server struct {
	t       *testing.T
	address string

	mu      sync.Mutex
	running *httptest.Server
	pushes  []lokipush.PushRequest // accepted ones
	headers http.Header            // of the newest request
}

// newServer returns a server that does not listen yet.
func newServer(t *testing.T) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, address: listener.Addr().String()}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

// url is the address of its push endpoint.
func (s *server) url() string { return "http://" + s.address + "/loki/api/v1/push" }

// serve listens with a handler, instead of the one before.
func (s *server) serve(h http.HandlerFunc) {
	s.t.Helper()
	s.stop()
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	running := httptest.NewUnstartedServer(h)
	if err := running.Listener.Close(); err != nil {
		s.t.Fatal(err)
	}
	running.Listener = listener
	running.Start()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = running
}

func (s *server) stop() {
	s.mu.Lock()
	running := s.running
	s.running = nil
	s.mu.Unlock()
	if running != nil {
		running.CloseClientConnections()
		running.Close()
	}
}

// accept takes pushes as Loki does.
func (s *server) accept(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Errorf("read a push: %v", err)
	}
	raw, err := snappy.Decode(nil, body)
	if err != nil {
		s.t.Errorf("decode a push: %v", err)
	}
	var request lokipush.PushRequest
	if err := request.Unmarshal(raw); err != nil {
		s.t.Errorf("decode a push: %v", err)
	}
	s.mu.Lock()
	s.pushes = append(s.pushes, request)
	s.headers = r.Header
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// hang takes a push and never answers.
func (s *server) hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client has left
	<-r.Context().Done()
}

// answer refuses every push with a status.
func answer(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		http.Error(w, http.StatusText(status), status)
	}
}

// streams returns the streams that were accepted, in order.
func (s *server) streams() (streams []lokipush.Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pushes {
		streams = append(streams, p.Streams...)
	}
	return streams
}

// lines returns the lines that were accepted, in order within a stream.
func (s *server) lines() (lines []string) {
	for _, stream := range s.streams() {
		for _, e := range stream.Entries {
			lines = append(lines, e.Line)
		}
	}
	return lines
}
