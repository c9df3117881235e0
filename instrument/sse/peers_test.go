package sse_test

import (
	"context"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/memnet"
	"github.com/sockscope/sockscope/instrument/realtimetest"
	"github.com/sockscope/sockscope/instrument/sse"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline is when a test gives up, and the server's own timeout where a test is not about that; nothing waits for it
// to pass.
const deadline = time.Minute

// protocols are the versions of HTTP that event streams are sent over.
func protocols() map[string]*http.Protocols {
	http1, http2 := new(http.Protocols), new(http.Protocols)
	http1.SetHTTP1(true)
	http2.SetUnencryptedHTTP2(true)
	return map[string]*http.Protocols{"HTTP1": http1, "HTTP2": http2}
}

// server is an endpoint on loopback or in memory.
type server struct {
	*httptest.Server
	*realtimetest.Recorder
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// serve starts a server that speaks p, on loopback.
func serve(t *testing.T, p *http.Protocols, handle func(*server, http.ResponseWriter, *http.Request)) *server {
	t.Helper()
	s := &server{Recorder: newRecorder(t)}
	s.start(t, p, func(w http.ResponseWriter, r *http.Request) { handle(s, w, r) })
	return s
}

// serverTimeout is what a careful operator sets, in tests that are about it.
const serverTimeout = 200 * time.Millisecond

// serveInBubble starts a server in memory, which cuts answers after serverTimeout. In the bubble of synctest, time
// passes only while everybody waits, however busy the machine is.
func serveInBubble(t *testing.T, p *http.Protocols, handle func(*server, http.ResponseWriter, *http.Request)) *server {
	t.Helper()
	listener := memnet.Listen()
	s := &server{Recorder: newRecorder(t), dial: listener.DialContext}
	s.prepare(t, p, func(w http.ResponseWriter, r *http.Request) { handle(s, w, r) })
	_ = s.Listener.Close()
	s.Listener = listener
	s.Config.ReadTimeout, s.Config.WriteTimeout = serverTimeout, serverTimeout
	s.Start()
	return s
}

// bubble runs a test in a bubble of synctest.
func bubble(t *testing.T, name string, test func(*testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

func newRecorder(t *testing.T) *realtimetest.Recorder {
	t.Helper()
	return realtimetest.New(t, instrument.WithProtocol(sse.Protocol), instrument.WithNamespace("test"), instrument.WithMessageTypes("price"))
}

func (s *server) start(t testing.TB, p *http.Protocols, handler http.HandlerFunc) {
	t.Helper()
	s.prepare(t, p, handler)
	s.dial = new(net.Dialer).DialContext
	s.Start()
}

func (s *server) prepare(t testing.TB, p *http.Protocols, handler http.HandlerFunc) {
	t.Helper()
	var handlers sync.WaitGroup
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handlers.Add(1)
		defer handlers.Done()
		handler(w, r)
	}))
	s.Config.Protocols = p
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ReadTimeout, s.Config.WriteTimeout = deadline, deadline
	t.Cleanup(func() {
		s.Close()
		handlers.Wait() // over HTTP/2, Close does not wait for them, and they use t
	})
}

// client is a peer with its hands on the TCP connection.
type client struct {
	*http.Response
	leave context.CancelFunc
	tcp   net.Conn
}

// connect asks for a stream and leaves it unread.
func connect(t testing.TB, s *server, header http.Header) client {
	t.Helper()
	var c client
	transport := &http.Transport{
		Protocols: s.Config.Protocols,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := s.dial(ctx, network, addr)
			c.tcp = conn
			return conn, err
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	c.leave = cancel
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	if c.Response, err = transport.RoundTrip(req); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Body.Close() })
	return c
}

// opened reads what a stream begins with. A peer that has only seen the header could leave while Accept still sends it.
func (c client) opened(t *testing.T) {
	t.Helper()
	begin := make([]byte, len(":\n\n"))
	if _, err := io.ReadFull(c.Body, begin); err != nil || string(begin) != ":\n\n" {
		t.Fatalf("the stream begins with %q, %v, want a comment", begin, err)
	}
}

// read reads to the end of the stream.
func (c client) read() []received {
	body, _ := io.ReadAll(c.Body) // an answer that is cut off is what some tests want
	return parse(body)
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

// ended is what is counted for one stream that ended so.
func ended(initiator, reason string) map[string]float64 {
	return map[string]float64{
		`sse_connections_total{status="connected"}`:                                       1,
		`sse_handshake_duration_seconds_count{status="connected"}`:                        1,
		`sse_connection_duration_seconds_count{reason="` + reason + `"}`:                  1,
		`sse_disconnections_total{initiator="` + initiator + `",reason="` + reason + `"}`: 1,
	}
}
