package coder_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
	"github.com/sockscope/sockscope/instrument/ws/coder"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is an endpoint on loopback whose handler gets each accepted connection.
type server struct {
	*httptest.Server
	*realtimetest.Recorder
}

// deadline is when a test gives up; nothing in the tests waits for it to pass.
const deadline = 10 * time.Second

// tooMuch is more than the buffers on the way to a peer hold that does not read.
const tooMuch = 1 << 25

func serve(t *testing.T, handle func(context.Context, *instrument.Observer, *coder.Conn)) *server {
	t.Helper()
	r := realtimetest.New(t, instrument.WithNamespace("test"), instrument.WithMessageTypes("text"))
	return &server{serveObserved(t, r.Observer, handle), r}
}

func serveObserved(t *testing.T, o *instrument.Observer, handle func(context.Context, *instrument.Observer, *coder.Conn)) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := coder.Accept(w, r, o, nil)
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		handle(ctx, o, c)
	}))
	t.Cleanup(s.Close)
	return s
}

// client is a peer with its hands on the TCP connection.
type client struct {
	*websocket.Conn
	tcp net.Conn
}

func dial(t *testing.T, url string) client {
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
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	c.Conn = ws
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

// readToEnd reads until the connection ends.
func readToEnd(ctx context.Context, c interface {
	Read(context.Context) (websocket.MessageType, []byte, error)
}) error {
	for {
		if _, _, err := c.Read(ctx); err != nil {
			return err
		}
	}
}

// writeToEnd writes until a write fails.
func writeToEnd(ctx context.Context, c *coder.Conn) {
	payload := make([]byte, 1<<20)
	for {
		if err := c.Write(ctx, websocket.MessageBinary, payload); err != nil {
			return
		}
	}
}
