package transport

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/demotest"
	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/internal/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests.
const patience = 10 * time.Second

// service is a running demo with all transports.
type service struct {
	t      *testing.T
	http   *httptest.Server
	server upstream.Server
	tokens *auth.Authority
}

func start(t *testing.T, cfg demo.Config) *service {
	t.Helper()
	handler, grpc := demotest.RunGRPC(t, cfg)
	s := &service{t: t, http: httptest.NewServer(handler)}
	t.Cleanup(func() {
		s.http.Client().CloseIdleConnections()
		s.http.Close()
	})
	s.server = serverAt(t, s.http).WithGRPC(grpc)
	var err error
	if s.tokens, err = auth.New([]byte(demotest.Key)); err != nil {
		t.Fatal(err)
	}
	return s
}

func serverAt(t *testing.T, server *httptest.Server) upstream.Server {
	t.Helper()
	at, err := upstream.Parse("ws" + strings.TrimPrefix(server.URL, "http"))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// options returns those of a user's connection.
func (s *service) options(user string, lasting time.Duration) Options {
	s.t.Helper()
	token, err := s.tokens.Issue(user, nil, lasting)
	if err != nil {
		s.t.Fatal(err)
	}
	return Options{Server: s.server, Authorization: "Bearer " + token}
}

// turnOn turns on a fault.
func (s *service) turnOn(fault string) {
	s.t.Helper()
	body := strings.NewReader(`{"strength":1,"duration":"1m"}`)
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPut, s.http.URL+"/fault/"+fault, body)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := s.http.Client().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		s.t.Fatalf("turn on %s: %s", fault, resp.Status)
	}
}

// client is a Conn in a test.
type client struct {
	Conn
	t     *testing.T
	heard []string // messages: number, saved id, from, text
}

func (s *service) dial(over Name, user string) *client {
	s.t.Helper()
	return dial(s.t, over, s.options(user, time.Hour))
}

func dial(t *testing.T, over Name, o Options) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := new(Dialer).Dial(ctx, over, o)
	if err != nil {
		t.Fatalf("%s: %v", over, err)
	}
	t.Cleanup(conn.Cut)
	return &client{Conn: conn, t: t}
}

// next returns the next message, or how the connection has ended.
func (c *client) next() (env wire.Envelope, err error) {
	c.t.Helper()
	defer time.AfterFunc(patience, c.Cut).Stop()
	var unread error
	if err := c.Receive(func(data []byte) { env, unread = c.Decode(data) }); err != nil {
		return env, err
	}
	if unread != nil {
		c.t.Fatal(unread)
	}
	if env.Type == wire.TypeMessage {
		m := payloadOf[wire.MessagePayload](c.t, env)
		c.heard = append(c.heard, fmt.Sprint(env.Seq, " ", m.SavedID, " ", m.From, ": ", m.Text))
	}
	return env, nil
}

// await returns the next message that is wanted.
func (c *client) await(wanted func(wire.Envelope) bool) wire.Envelope {
	c.t.Helper()
	for {
		env, err := c.next()
		if err != nil {
			c.t.Fatalf("the connection has ended: %v", err)
		}
		if wanted(env) {
			return env
		}
	}
}

func (c *client) awaitType(typ wire.Type) wire.Envelope {
	c.t.Helper()
	return c.await(func(env wire.Envelope) bool { return env.Type == typ })
}

// ask sends a request and returns its answer.
func (c *client) ask(typ wire.Type, payload any) wire.AckPayload {
	c.t.Helper()
	env, err := wire.New(typ, "", payload)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.Send(&env); err != nil {
		c.t.Fatal(err)
	}
	return payloadOf[wire.AckPayload](c.t, c.await(func(answer wire.Envelope) bool {
		return answer.Type == wire.TypeAck && answer.MessageID == env.MessageID
	}))
}

// ended returns how the connection has ended, after whatever comes before.
func (c *client) ended() error {
	for {
		if _, err := c.next(); err != nil {
			return err
		}
	}
}
