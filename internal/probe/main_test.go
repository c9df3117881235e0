package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/goleak"

	"github.com/sockscope/sockscope/demo"
	"github.com/sockscope/sockscope/demo/demotest"
	"github.com/sockscope/sockscope/internal/upstream"
)

// patience bounds every wait of these tests.
const patience = 20 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startDemo serves a demo, and returns what it counts.
func startDemo(t *testing.T, change func(*demo.Config)) (*httptest.Server, *prometheus.Registry) {
	t.Helper()
	handler, registry := runDemo(t, change)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server, registry
}

// runDemo runs a demo that samples every message.
func runDemo(t *testing.T, change func(*demo.Config)) (http.Handler, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	traces := sdktrace.NewTracerProvider()
	t.Cleanup(func() { _ = traces.Shutdown(context.Background()) })
	cfg := demo.Config{Registerer: registry, TracerProvider: traces, SampleRatio: 1}
	if change != nil {
		change(&cfg)
	}
	return demotest.Run(t, cfg), registry
}

func socket(server *httptest.Server) string {
	return strings.Replace(server.URL, "http", "ws", 1) + "/ws"
}

// records are the log records of a Prober.
type records struct {
	mu  sync.Mutex
	all []map[string]any
}

func (r *records) Write(line []byte) (int, error) {
	var fields map[string]any
	if err := json.Unmarshal(line, &fields); err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, fields)
	return len(line), nil
}

func (r *records) list() []map[string]any {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]map[string]any(nil), r.all...)
}

// running is a Prober that runs.
type running struct {
	t        *testing.T
	registry *prometheus.Registry
	log      *records
	stop     func() // waits for the end
}

// run probes targets, by name and address, until the test ends.
func run(t *testing.T, tokens upstream.Tokens, interval, timeout time.Duration, targets ...string) *running {
	t.Helper()
	r := &running{t: t, registry: prometheus.NewRegistry(), log: &records{}}
	cfg := Config{Interval: interval, Timeout: timeout, Tokens: tokens, Logger: slog.New(slog.NewJSONHandler(r.log, nil))}
	for _, s := range targets {
		target, err := ParseTarget(s)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Targets = append(cfg.Targets, target)
	}
	if cfg.Tokens == nil {
		var err error
		if cfg.Tokens, err = upstream.TokensFrom(""); err != nil {
			t.Fatal(err)
		}
	}
	prober, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.registry.MustRegister(prober)
	ctx, stop := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { prober.Run(ctx) })
	r.stop = func() { stop(); ended.Wait() }
	t.Cleanup(r.stop)
	return r
}

// values returns the values of the metrics, by name and labels; of a histogram that is its count.
func values(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			found[name] = value(m)
		}
	}
	return found
}

func value(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.GetCounter().GetValue()
	case m.Gauge != nil:
		return m.GetGauge().GetValue()
	}
	return float64(m.GetHistogram().GetSampleCount())
}

func eventually(t *testing.T, holds func() bool, otherwise func() string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(otherwise())
		}
	}
}

// awaitFailure waits for the record about a failing target and returns its phase and cause.
func (r *running) awaitFailure(target string) (phase, cause string) {
	r.t.Helper()
	found := false
	eventually(r.t, func() bool {
		for _, fields := range r.log.list() {
			if fields["msg"] == "probe failed" && fields["target"] == target {
				phase, cause, found = fmt.Sprint(fields["phase"]), fmt.Sprint(fields["error"]), true
			}
		}
		return found
	}, func() string { return fmt.Sprintf("no record about %s in %v", target, r.log.list()) })
	return phase, cause
}

// handlerServer serves one handler for WebSockets beside the demo's tokens.
func handlerServer(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /auth/token", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"token":"one"}`) })
	mux.HandleFunc("/ws", h)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}
