package sse_test

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/sse"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline is when a test gives up; nothing in the tests waits for it to pass.
const deadline = 10 * time.Second

// protocols are the versions of HTTP that event streams are sent over.
func protocols() map[string]*http.Protocols {
	http1, http2 := new(http.Protocols), new(http.Protocols)
	http1.SetHTTP1(true)
	http2.SetUnencryptedHTTP2(true)
	return map[string]*http.Protocols{"HTTP1": http1, "HTTP2": http2}
}

// server is an endpoint on loopback.
type server struct {
	*httptest.Server
	observer *instrument.Observer
	records  *records
}

// serve starts a server that speaks p, with the timeouts that a careful operator sets.
func serve(t *testing.T, p *http.Protocols, handle func(*server, http.ResponseWriter, *http.Request)) *server {
	t.Helper()
	s := &server{records: new(records)}
	var err error
	s.observer, err = instrument.New(instrument.WithTransport(sse.Transport), instrument.WithNamespace("test"),
		instrument.WithMessageTypes("price"), instrument.WithTracerProvider(noop.NewTracerProvider()),
		instrument.WithLogger(slog.New(slog.NewJSONHandler(s.records, nil))))
	if err != nil {
		t.Fatal(err)
	}
	s.start(t, p, func(w http.ResponseWriter, r *http.Request) { handle(s, w, r) })
	return s
}

func (s *server) start(t testing.TB, p *http.Protocols, handler http.HandlerFunc) {
	t.Helper()
	s.Server = httptest.NewUnstartedServer(handler)
	s.Config.Protocols = p
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ReadTimeout, s.Config.WriteTimeout = serverTimeout, serverTimeout
	s.Start()
	t.Cleanup(s.Close)
}

const serverTimeout = 200 * time.Millisecond

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
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
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

// counts returns every counter and gauge that is not 0 and the counts of histograms, without what measures time.
func counts(t *testing.T, o *instrument.Observer) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(o); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "sse_last_message_timestamp_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				if l.GetName() != "namespace" && l.GetName() != "transport" {
					labels = append(labels, l.GetName()+"="+l.GetValue())
				}
			}
			name := strings.TrimPrefix(f.GetName(), "sse_") + "{" + strings.Join(labels, ",") + "}"
			v := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			if v != 0 {
				got[name] = v
			}
		}
	}
	return got
}

// eventually retries until the two are equal or time is up.
func eventually(t *testing.T, want map[string]float64, get func() map[string]float64) {
	t.Helper()
	var diff string
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if diff = cmp.Diff(want, get()); diff == "" {
			return
		}
	}
	t.Errorf("metrics, -want +got:\n%s", diff)
}

// ended is what is counted for one stream that ended so.
func ended(initiator, reason string) map[string]float64 {
	return map[string]float64{
		"connections_total{status=connected}":                                     1,
		"handshake_duration_seconds{status=connected}":                            1,
		"connection_duration_seconds{reason=" + reason + "}":                      1,
		"disconnections_total{initiator=" + initiator + ",reason=" + reason + "}": 1,
	}
}

// records keeps what was logged.
type records struct {
	mu    sync.Mutex
	lines []map[string]any
}

func (r *records) Write(p []byte) (int, error) {
	line := map[string]any{}
	if err := json.Unmarshal(p, &line); err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
	return len(p), nil
}

// find waits for a record, which is written after what is counted.
func (r *records) find(t testing.TB, msg string) map[string]any {
	t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if line := r.lookUp(msg); line != nil {
			return line
		}
	}
	t.Fatalf("no record %q in %v", msg, r.lines)
	return nil
}

func (r *records) lookUp(msg string) map[string]any {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		if line["msg"] == msg {
			return line
		}
	}
	return nil
}
