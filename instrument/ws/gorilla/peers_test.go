package gorilla_test

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
	"github.com/sockscope/sockscope/instrument/ws/gorilla"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is an endpoint on loopback whose handler gets each upgraded connection.
type server struct {
	*httptest.Server
	*realtimetest.Recorder
}

// deadline is when a test gives up; nothing in the tests waits for it to pass.
const deadline = 10 * time.Second

func newServer(t *testing.T, handler func(*server, http.ResponseWriter, *http.Request)) *server {
	t.Helper()
	s := &server{Recorder: realtimetest.New(t,
		instrument.WithNamespace("test"), instrument.WithMessageTypes("text", "binary", "join"))}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler(s, w, r)
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of panics
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func serve(t *testing.T, handle func(*instrument.Observer, *gorilla.Conn)) *server {
	t.Helper()
	return newServer(t, func(s *server, w http.ResponseWriter, r *http.Request) {
		c, err := gorilla.Upgrade(w, r, s.Observer, nil, nil)
		if err != nil {
			t.Errorf("upgrade: %v", err)
			return
		}
		_ = c.NetConn().SetDeadline(time.Now().Add(deadline))
		handle(s.Observer, c)
	})
}

func dial(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	return dialWith(t, url, websocket.Dialer{})
}

func dialWith(t *testing.T, url string, d websocket.Dialer) *websocket.Conn {
	t.Helper()
	c, resp, err := d.DialContext(t.Context(), "ws"+strings.TrimPrefix(url, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(deadline)) // what does not come must not hang the test
	return c
}

// reset ends the TCP connection by RST.
func reset(t *testing.T, c *websocket.Conn) {
	t.Helper()
	if err := c.NetConn().(*net.TCPConn).SetLinger(0); err != nil {
		t.Error(err)
	}
	if err := c.NetConn().Close(); err != nil {
		t.Error(err)
	}
}

// readToEnd reads until the connection ends.
func readToEnd(c interface {
	ReadMessage() (int, []byte, error)
}) error {
	for {
		if _, _, err := c.ReadMessage(); err != nil {
			return err
		}
	}
}

// closeFrame writes a close frame with the code.
func closeFrame(c interface {
	WriteControl(int, []byte, time.Time) error
}, code int) error {
	return c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(deadline))
}
