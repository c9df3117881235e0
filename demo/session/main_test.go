package session

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/demo/admission"
	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/cluster"
	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/observe"
	"github.com/sockscope/sockscope/demo/room"
	"github.com/sockscope/sockscope/demo/use"
	"github.com/sockscope/sockscope/demo/use/chat"
	"github.com/sockscope/sockscope/demo/use/document"
	"github.com/sockscope/sockscope/demo/use/game"
	"github.com/sockscope/sockscope/demo/use/notify"
	"github.com/sockscope/sockscope/demo/use/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is what sessions are for, without transports.
type service struct {
	authority *auth.Authority
	observer  *observe.Observer
	rooms     *room.Rooms
	cluster   *cluster.Cluster
	streams   *stream.Streams
	sessions  *Sessions
}

// newService returns a service with rooms for two, of which a session may be in one.
func newService(t *testing.T, store history.Store, registry prometheus.Registerer, cfg Config) *service {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s := new(service)
	var err error
	s.authority, err = auth.New([]byte("a key for tests that is long enough"))
	fail(err)
	s.observer, err = observe.New(observe.Config{Logger: logger, Registerer: registry, ConnectionLimit: 100})
	fail(err)
	s.rooms = room.New(room.Config{History: store, Observer: s.observer.Observer, Limit: 2})
	topics := new(room.Topics)
	s.cluster, err = cluster.New(cluster.Config{
		Node: "test", NodeTimeout: 15 * time.Second, Rooms: s.rooms, Topics: topics, Observer: s.observer, Logger: logger,
	})
	fail(err)
	s.streams = stream.New(stream.Config{Topics: topics, Observer: s.observer, Logger: logger})
	cfg.Logger, cfg.Verify = logger, admission.New(admission.Config{Verifier: s.authority}).Verify
	arena, err := game.New(game.Config{Observer: s.observer})
	fail(err)
	cfg.Uses = []use.Use{
		chat.New(chat.Config{History: store, Rooms: s.rooms, Cluster: s.cluster, RoomsPerPeer: 1, SaveTimeout: time.Second}),
		notify.New(topics, s.cluster), s.streams, arena,
		document.New(document.Config{
			History: store, Rooms: s.rooms, Topics: topics, Cluster: s.cluster, Observer: s.observer, Logger: logger, PerPeer: 1,
		}),
	}
	cfg.Heartbeat, cfg.LoginTimeout = 30*time.Second, 5*time.Second
	if cfg.MessageBurst == 0 {
		cfg.MessagesPerSecond, cfg.MessageBurst = 50, 200
	}
	s.sessions = New(cfg)
	return s
}

// token returns a token for a user, and nothing for nobody.
func (s *service) token(t *testing.T, user string, lifetime time.Duration) string {
	t.Helper()
	if user == "" {
		return ""
	}
	token, err := s.authority.Issue(user, nil, lifetime)
	if err != nil {
		t.Fatal(err)
	}
	return token
}
