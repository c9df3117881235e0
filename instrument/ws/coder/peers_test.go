package coder_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/coder"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is an endpoint on loopback whose handler gets each accepted connection.
type server struct {
	*httptest.Server
	observer *instrument.Observer
	records  *records
}

// deadline is when a test gives up; nothing in the tests waits for it to pass.
const deadline = 10 * time.Second

func serve(t *testing.T, handle func(context.Context, *instrument.Observer, *coder.Conn)) *server {
	t.Helper()
	records := new(records)
	o, err := instrument.New(instrument.WithNamespace("test"), instrument.WithLogger(slog.New(slog.NewJSONHandler(records, nil))),
		instrument.WithTracerProvider(noop.NewTracerProvider()))
	if err != nil {
		t.Fatal(err)
	}
	s := serveObserved(t, o, handle)
	s.records = records
	return s
}

func serveObserved(t *testing.T, o *instrument.Observer, handle func(context.Context, *instrument.Observer, *coder.Conn)) *server {
	t.Helper()
	s := &server{observer: o}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
		if f.GetName() == "websocket_last_message_timestamp_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				if l.GetName() != "namespace" {
					labels = append(labels, l.GetName()+"="+l.GetValue())
				}
			}
			name := strings.TrimPrefix(f.GetName(), "websocket_") + "{" + strings.Join(labels, ",") + "}"
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

// find waits for a record with that message: records are written right after what they tell of is counted.
func (r *records) find(t *testing.T, msg string) map[string]any {
	t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if line := r.first(msg); line != nil {
			return line
		}
	}
	t.Fatalf("no record %q", msg)
	return nil
}

func (r *records) first(msg string) map[string]any {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		if line["msg"] == msg {
			return line
		}
	}
	return nil
}
