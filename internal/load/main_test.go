package load

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/demo/demotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is a running demo.
type service struct {
	t    *testing.T
	url  string // of its WebSocket
	grpc string // address
	http *httptest.Server
}

func start(t *testing.T, cfg demo.Config) *service {
	t.Helper()
	handler, grpc := demotest.RunGRPC(t, cfg)
	s := &service{t: t, grpc: grpc, http: httptest.NewServer(handler)}
	s.url = socketURL(s.http)
	t.Cleanup(func() {
		s.http.Client().CloseIdleConnections()
		s.http.Close()
	})
	return s
}

func socketURL(server *httptest.Server) string {
	return "ws" + strings.TrimPrefix(server.URL, "http") + "/ws"
}

// turnOn turns on a fault.
func (s *service) turnOn(fault, body string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPut, s.http.URL+"/fault/"+fault, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := s.http.Client().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		s.t.Fatalf("turn on %s: %s", fault, resp.Status)
	}
}

// chat is a scenario with one group.
func chat(connections, rooms int, rate float64, duration time.Duration) Scenario {
	return Scenario{Name: "test", Duration: duration, Groups: []Group{
		{Name: "people", Does: Chat, Connections: connections, Rooms: rooms, Rate: rate},
	}}
}

func runLoad(ctx context.Context, t *testing.T, cfg Config) *Result {
	t.Helper()
	r, err := Run(ctx, cfg, time.Hour, func(Progress) {})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
