package telemetry

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/golang/snappy"
	"github.com/grafana/loki/pkg/push"
)

// lokiServer is a push endpoint that can be away, hang or fail, at one address.
type lokiServer struct {
	t       *testing.T
	address string

	mu      sync.Mutex
	server  *httptest.Server
	pushes  []push.PushRequest // accepted ones
	headers http.Header        // of the newest request
}

// newLokiServer returns a server that does not listen yet.
func newLokiServer(t *testing.T) *lokiServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &lokiServer{t: t, address: listener.Addr().String()}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOCKSCOPE_LOKI_URL", "http://"+s.address+"/loki/api/v1/push")
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	t.Cleanup(s.stop)
	return s
}

// serve listens with a handler, instead of the one before.
func (s *lokiServer) serve(h http.HandlerFunc) {
	s.t.Helper()
	s.stop()
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	if err := server.Listener.Close(); err != nil {
		s.t.Fatal(err)
	}
	server.Listener = listener
	server.Start()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server = server
}

func (s *lokiServer) stop() {
	s.mu.Lock()
	server := s.server
	s.server = nil
	s.mu.Unlock()
	if server != nil {
		server.CloseClientConnections()
		server.Close()
	}
}

// accept takes pushes as Loki does.
func (s *lokiServer) accept(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Errorf("read a push: %v", err)
	}
	raw, err := snappy.Decode(nil, body)
	if err != nil {
		s.t.Errorf("decode a push: %v", err)
	}
	var request push.PushRequest
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
func (s *lokiServer) hang(_ http.ResponseWriter, r *http.Request) {
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
func (s *lokiServer) streams() (streams []push.Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pushes {
		streams = append(streams, p.Streams...)
	}
	return streams
}

// lines returns the lines that were accepted, in order within a stream.
func (s *lokiServer) lines() (lines []string) {
	for _, stream := range s.streams() {
		for _, e := range stream.Entries {
			lines = append(lines, e.Line)
		}
	}
	return lines
}

// quick is a context that ends soon.
func quick(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), shortly)
	t.Cleanup(cancel)
	return ctx
}
