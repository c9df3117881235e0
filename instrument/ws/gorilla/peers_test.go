package gorilla_test

import (
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/ws/gorilla"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is an endpoint on loopback whose handler gets each upgraded connection.
type server struct {
	*httptest.Server
	observer *instrument.Observer
	records  *records
}

// deadline is when a test gives up; nothing in the tests waits for it to pass.
const deadline = 10 * time.Second

func newServer(t *testing.T, handler func(*server, http.ResponseWriter, *http.Request)) *server {
	t.Helper()
	s := &server{records: new(records)}
	var err error
	s.observer, err = instrument.New(
		instrument.WithNamespace("test"), instrument.WithMessageTypes("text", "binary", "join"),
		instrument.WithLogger(slog.New(slog.NewJSONHandler(s.records, nil))),
		instrument.WithTracerProvider(noop.NewTracerProvider()))
	if err != nil {
		t.Fatal(err)
	}
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
		c, err := gorilla.Upgrade(w, r, s.observer, nil, nil)
		if err != nil {
			t.Errorf("upgrade: %v", err)
			return
		}
		_ = c.NetConn().SetDeadline(time.Now().Add(deadline))
		handle(s.observer, c)
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

func (r *records) find(t *testing.T, msg string) map[string]any {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		if line["msg"] == msg {
			return line
		}
	}
	t.Fatalf("no record %q in %v", msg, r.lines)
	return nil
}
