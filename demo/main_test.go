package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/demo/auth"
	"github.com/sockscope/sockscope/demo/history"
	"github.com/sockscope/sockscope/demo/wire"
)

// patience bounds every wait of these tests.
const patience = 10 * time.Second

func TestMain(m *testing.M) {
	if server := os.Getenv(clientsOf); server != "" {
		if err := runClients(server); err != nil {
			fmt.Fprintln(os.Stderr, "clients of the benchmark:", err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// fixture is a running server.
type fixture struct {
	t        *testing.T
	chat     *Server
	http     *httptest.Server
	grpc     string // the address for gRPC, empty without
	registry *prometheus.Registry
	logs     *logs
	tokens   *auth.Authority
}

// logs is where the server's records go.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// smallBuffers makes connections for which the kernel holds little, so that a peer that does not read is felt soon.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return conn, conn.(*net.TCPConn).SetWriteBuffer(4 << 10)
}

func start(t *testing.T, cfg Config) *fixture {
	t.Helper()
	f := &fixture{t: t, registry: prometheus.NewRegistry(), logs: &logs{}}
	cfg.Registerer = f.registry
	cfg = complete(t, cfg)
	cfg.Logger = slog.New(slog.NewJSONHandler(f.logs, nil))
	var err error
	if f.chat, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	f.tokens = cfg.Authority
	running := make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() { running <- f.chat.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-running; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	f.http = httptest.NewUnstartedServer(f.chat.Handler())
	f.http.Listener = smallBuffers{f.http.Listener}
	f.http.Start()
	f.startGRPC()
	t.Cleanup(func() {
		f.http.Client().CloseIdleConnections()
		if !f.chat.sessions.Draining() {
			f.shutdown()
		}
		f.http.Close()
	})
	return f
}

// complete adds what a Config has to have.
func complete(t *testing.T, cfg Config) Config {
	t.Helper()
	if cfg.Authority == nil {
		var err error
		if cfg.Authority, err = auth.New([]byte("a key for tests that is long enough")); err != nil {
			t.Fatal(err)
		}
	}
	if cfg.History == nil {
		file, err := history.OpenFile(filepath.Join(t.TempDir(), "history.db"), history.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() })
		cfg.History = file
	}
	return cfg
}

// token returns one that makes its bearer that user.
func (f *fixture) token(user string) string {
	f.t.Helper()
	token, err := f.tokens.Issue(user, nil, time.Hour)
	if err != nil {
		f.t.Fatal(err)
	}
	return token
}

func (f *fixture) shutdown() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := f.chat.Shutdown(ctx); err != nil {
		f.t.Errorf("shutdown: %v", err)
	}
}

func (f *fixture) do(method, path, body string) (int, string) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.http.URL+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	resp, err := f.http.Client().Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil {
		f.t.Fatal(err)
	}
	return resp.StatusCode, text.String()
}

func (f *fixture) turnOn(fault string, strength float64, duration string) {
	f.t.Helper()
	code, body := f.do(http.MethodPut, "/fault/"+fault, fmt.Sprintf(`{"strength":%v,"duration":%q}`, strength, duration))
	if code != http.StatusOK {
		f.t.Fatalf("turn on %s: %d %s", fault, code, body)
	}
}

// metrics returns the values that are not 0 of the named metrics, by name and labels; of a histogram that is its count.
func (f *fixture) metrics(names ...string) map[string]float64 {
	f.t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, name := range names {
			if family.GetName() != name {
				continue
			}
			for _, m := range family.GetMetric() {
				if v := valueOf(m); v != 0 {
					values[series(name, m)] = v
				}
			}
		}
	}
	return values
}

func valueOf(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.GetCounter().GetValue()
	case m.Gauge != nil:
		return m.GetGauge().GetValue()
	default:
		return float64(m.GetHistogram().GetSampleCount())
	}
}

// series leaves out the namespace, which all have, and the metrics' prefix.
func series(name string, m *dto.Metric) string {
	name = strings.TrimPrefix(name, "websocket_")
	for _, l := range m.GetLabel() {
		if l.GetName() != "namespace" {
			name += " " + l.GetValue()
		}
	}
	return name
}

// awaitMetrics waits until the named metrics have exactly these values.
func (f *fixture) awaitMetrics(want map[string]float64, names ...string) {
	f.t.Helper()
	var diff string
	f.eventually(func() bool {
		diff = cmp.Diff(want, f.metrics(names...))
		return diff == ""
	}, func() string { return "metrics (-want +got):\n" + diff })
}

func (f *fixture) eventually(holds func() bool, otherwise func() string) {
	f.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatal(otherwise())
		}
	}
}

// client is a peer that speaks the protocol.
type client struct {
	t    *testing.T
	conn *websocket.Conn
}

func (f *fixture) dial(name string) *client { return f.dialBy(name, nil) }

func (f *fixture) dialBy(name string, by *http.Client) *client {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, f.http.URL+"/ws", &websocket.DialOptions{
		HTTPClient: by, HTTPHeader: http.Header{"Authorization": {"Bearer " + f.token(name)}},
	})
	if err != nil {
		f.t.Fatalf("%s connects: %v", name, err)
	}
	conn.SetReadLimit(1 << 20)
	f.t.Cleanup(func() { _ = conn.CloseNow() })
	c := &client{t: f.t, conn: conn}
	if _, p := expect[wire.WelcomePayload](c, wire.TypeWelcome); p.User != name {
		f.t.Fatalf("%s is welcomed as %q", name, p.User)
	}
	return c
}

// dialUnbuffered connects by a connection without buffers, where a write waits until the other side has read all of it.
// It returns the connection as well.
func (f *fixture) dialUnbuffered(name string) (*client, net.Conn) {
	f.t.Helper()
	ours, theirs := net.Pipe()
	pipe := &pipe{conns: make(chan net.Conn, 1)}
	pipe.conns <- theirs
	served := make(chan error, 1)
	go func() { served <- f.http.Config.Serve(pipe) }()
	f.t.Cleanup(func() {
		_ = pipe.Close()
		if err := <-served; !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
			f.t.Errorf("serve: %v", err)
		}
	})
	by := &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return ours, nil },
	}}
	return f.dialBy(name, by), ours
}

// pipe is a listener of connections in memory.
type pipe struct {
	conns  chan net.Conn
	closes sync.Once
}

func (p *pipe) Accept() (net.Conn, error) {
	if conn, ok := <-p.conns; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (p *pipe) Close() error {
	p.closes.Do(func() { close(p.conns) })
	return nil
}

func (*pipe) Addr() net.Addr { return &net.TCPAddr{} }

func (c *client) write(typ websocket.MessageType, data []byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := c.conn.Write(ctx, typ, data); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// send sends one message and returns its id.
func (c *client) send(typ wire.Type, payload any) string {
	c.t.Helper()
	env, err := wire.New(typ, "", payload)
	if err != nil {
		c.t.Fatal(err)
	}
	f, err := env.Frame()
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(websocket.MessageText, f.Data)
	return env.MessageID
}

// read returns the next frame, or how the connection ended.
func (c *client) read() (wire.Envelope, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	_, data, err := c.conn.Read(ctx)
	if err != nil {
		return wire.Envelope{}, err
	}
	var env wire.Envelope
	return env, errors.Join(json.Unmarshal(data, &env), err)
}

// expect reads the next frame, which has to be of that type, and its payload.
func expect[P any](c *client, typ wire.Type) (wire.Envelope, P) {
	c.t.Helper()
	var payload P
	env, err := c.read()
	if err != nil {
		c.t.Fatalf("waiting for %s: %v", typ, err)
	}
	if env.Type != typ {
		c.t.Fatalf("got %s %s, want %s", env.Type, env.Payload, typ)
	}
	if len(env.Payload) > 0 {
		if err := json.Unmarshal(env.Payload, &payload); err != nil {
			c.t.Fatalf("payload of %s: %v", typ, err)
		}
	}
	return env, payload
}

func (c *client) join(room string) {
	c.t.Helper()
	id := c.send(wire.TypeJoin, wire.JoinPayload{Room: room})
	expect[wire.RoomUsersPayload](c, wire.TypeRoomUsers)
	env, ack := expect[wire.AckPayload](c, wire.TypeAck)
	if !ack.Success || env.MessageID != id {
		c.t.Fatalf("join %s: %+v for %s", room, ack, env.MessageID)
	}
}

// ended returns how the connection ended, after whatever else comes first.
func (c *client) ended() error {
	c.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if _, err := c.read(); err != nil {
			return err
		}
	}
	c.t.Fatal("the connection does not end")
	return nil
}
