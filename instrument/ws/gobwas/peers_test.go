package gobwas_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
	"github.com/sockscope/sockscope/instrument/ws/gobwas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline is when a test gives up; nothing in the tests waits for it to pass.
const deadline = 10 * time.Second

// handler is what a server does with a connection.
type handler func(context.Context, *instrument.Observer, *gobwas.Conn)

// server is an endpoint on loopback.
type server struct {
	*realtimetest.Recorder
	url string
}

func newServer(t *testing.T, opts ...instrument.Option) *server {
	t.Helper()
	return &server{Recorder: realtimetest.New(t, append([]instrument.Option{instrument.WithNamespace("test")}, opts...)...)}
}

// ways are how a server can come by its connections.
func ways() map[string]func(*server, testing.TB, handler) {
	return map[string]func(*server, testing.TB, handler){
		"UpgradeHTTP": func(s *server, t testing.TB, h handler) { s.serveHTTP(t, ws.HTTPUpgrader{}, h) },
		"Upgrade":     func(s *server, t testing.TB, h handler) { s.serveTCP(t, ws.Upgrader{}, h) },
	}
}

// serveHTTP upgrades requests to net/http. A handler of nil wants them to be refused.
func (s *server) serveHTTP(t testing.TB, u ws.HTTPUpgrader, handle handler) {
	t.Helper()
	s.serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, err := gobwas.UpgradeHTTP(r, w, u, s.Observer)
		s.handle(t, c, err, handle)
	}))
}

func (s *server) serveHandler(t testing.TB, h http.Handler) {
	t.Helper()
	hs := httptest.NewServer(h)
	t.Cleanup(hs.Close)
	s.url = hs.URL
}

// serveTCP upgrades TCP connections. A handler of nil wants them to be refused.
func (s *server) serveTCP(t testing.TB, u ws.Upgrader, handle handler) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + l.Addr().String()
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				c, _, err := gobwas.Upgrade(conn, u, s.Observer)
				s.handle(t, c, err, handle)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
}

func (s *server) handle(t testing.TB, c *gobwas.Conn, err error, handle handler) {
	switch {
	case (err != nil) == (handle != nil):
		t.Errorf("upgrade: %v", err)
	case handle != nil:
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		handle(ctx, s.Observer, c)
	}
}

// client is a peer with its hands on the TCP connection.
type client struct {
	*websocket.Conn
	tcp net.Conn
}

func dial(t testing.TB, url string) client {
	t.Helper()
	var c client
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		c.tcp = conn
		return conn, err
	}}
	t.Cleanup(transport.CloseIdleConnections)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	c.Conn = conn
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

// reset ends the TCP connection by RST.
func (c client) reset(t *testing.T) {
	t.Helper()
	if err := c.tcp.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := c.tcp.Close(); err != nil {
		t.Fatal(err)
	}
}

// send writes a frame as the client must, masked.
func (c client) send(t *testing.T, op ws.OpCode, fin bool, payload []byte) {
	t.Helper()
	if err := ws.WriteFrame(c.tcp, ws.MaskFrame(ws.NewFrame(op, fin, payload))); err != nil {
		t.Error(err)
	}
}

// peerToEnd reads, at the peer, until the connection ends.
func peerToEnd(ctx context.Context, c client) error {
	for {
		if _, _, err := c.Read(ctx); err != nil {
			return err
		}
	}
}

// readToEnd reads messages and answers control frames until the connection ends.
func readToEnd(c *gobwas.Conn) error {
	for {
		if _, _, err := wsutil.ReadClientData(c); err != nil {
			return err
		}
	}
}

// writeToEnd writes until a write fails.
func writeToEnd(c *gobwas.Conn) {
	payload := make([]byte, 1<<20)
	for wsutil.WriteServerBinary(c, payload) == nil {
	}
}
