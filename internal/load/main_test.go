package load

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testKey = "a key for tests that is long enough"

// service is a running demo.
type service struct {
	t    *testing.T
	url  string // of its WebSocket
	http *httptest.Server
}

func start(t *testing.T, cfg demo.Config) *service {
	t.Helper()
	var err error
	if cfg.Authority, err = auth.New([]byte(testKey)); err != nil {
		t.Fatal(err)
	}
	if cfg.History == nil {
		cfg.History = store(t, history.Limits{})
	}
	server, err := demo.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- server.Run(ctx) }()
	s := &service{t: t, http: httptest.NewServer(server.Handler())}
	s.url = socketURL(s.http)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		s.http.Client().CloseIdleConnections()
		s.http.Close()
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	return s
}

func store(t *testing.T, limits history.Limits) history.Store {
	t.Helper()
	file, err := history.OpenFile(filepath.Join(t.TempDir(), "history.db"), limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file
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
