package backplane_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/backplane"
)

// A node is one of those that a backplane connects, with all that it tells.
type node struct {
	*backplane.Backplane
	client   redis.UniversalClient
	observer *instrument.Observer
	spans    *tracetest.SpanRecorder
	records  *records
	received chan backplane.Message
	gaps     chan backplane.Gap
}

// newNode makes a node that is not running.
func newNode(t *testing.T, s *server, opts ...backplane.Option) *node {
	t.Helper()
	return newNodeWith(t, &redis.Options{Addr: s.addr}, opts...)
}

func newNodeWith(t *testing.T, o *redis.Options, opts ...backplane.Option) *node {
	t.Helper()
	return newNodeOf(t, redis.NewClient(o), opts...)
}

func newNodeOf(t *testing.T, client redis.UniversalClient, opts ...backplane.Option) *node {
	t.Helper()
	n := &node{
		client:   client,
		spans:    tracetest.NewSpanRecorder(),
		records:  new(records),
		received: make(chan backplane.Message, 100),
		gaps:     make(chan backplane.Gap, 100),
	}
	t.Cleanup(func() { n.client.Close() })
	var err error
	n.observer, err = instrument.New(
		instrument.WithBackplanes("redis"), instrument.WithSampleRatio(1),
		instrument.WithLogger(slog.New(slog.NewJSONHandler(n.records, nil))),
		instrument.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(n.spans))))
	if err != nil {
		t.Fatal(err)
	}
	opts = append([]backplane.Option{backplane.WithRestored(func(g backplane.Gap) { n.gaps <- g })}, opts...)
	if n.Backplane, err = backplane.New(n.client, n.observer, "redis", opts...); err != nil {
		t.Fatal(err)
	}
	return n
}

// start runs the node until the end of the test, delivers what it receives to nobody, and waits until it is connected.
func (n *node) start(t *testing.T, channels ...string) {
	t.Helper()
	n.startWith(t, n.deliver, channels...)
}

func (n *node) deliver(ctx context.Context, m backplane.Message) {
	if !m.Own {
		_, b := m.Deliver(ctx)
		b.End(nil)
	}
	n.received <- m
}

// startWith returns what stops it earlier.
func (n *node) startWith(t *testing.T, handle func(context.Context, backplane.Message), channels ...string) (stop func()) {
	t.Helper()
	if err := n.Subscribe(t.Context(), channels...); err != nil {
		t.Fatal(err)
	}
	stop = n.run(t, handle)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := n.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return stop
}

func (n *node) run(t *testing.T, handle func(context.Context, backplane.Message)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx, handle) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// waitUp waits until websocket_backplane_up is what it should be.
func (n *node) waitUp(t *testing.T, up bool) {
	t.Helper()
	eventually(t, func() string {
		if _, got := n.metrics(t)["backplane_up{backplane=redis}"]; got != up {
			return cmp.Diff(up, got) + n.records.String()
		}
		return ""
	})
}

func (n *node) publish(t *testing.T, channel, payload string) {
	t.Helper()
	if err := n.Publish(t.Context(), channel, []byte(payload)); err != nil {
		t.Fatal(err)
	}
}

// next returns the next message that was handled.
func (n *node) next(t *testing.T) backplane.Message {
	t.Helper()
	select {
	case m := <-n.received:
		return m
	case <-time.After(deadline):
		t.Fatalf("nothing received; %s", n.records)
		return backplane.Message{}
	}
}

// expect receives messages and compares where they come from and what they carry.
func (n *node) expect(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for range want {
		m := n.next(t)
		text := m.Channel + " " + string(m.Payload)
		if m.Own {
			text += " own"
		}
		got = append(got, text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages, -want +got:\n%s", diff)
	}
}

// metrics returns every counter and gauge that is not 0 and the counts of histograms.
func (n *node) metrics(t *testing.T) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(n.observer); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				if l.GetName() != "namespace" {
					labels = append(labels, l.GetName()+"="+l.GetValue())
				}
			}
			name := strings.TrimPrefix(f.GetName(), "websocket_") + "{" + strings.Join(labels, ",") + "}"
			if v := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount()); v != 0 {
				got[name] = v
			}
		}
	}
	return got
}

// compare waits for exactly these metrics.
func (n *node) compare(t *testing.T, want map[string]float64) {
	t.Helper()
	eventually(t, func() string { return cmp.Diff(want, n.metrics(t)) })
}

// eventually retries until there is no difference or time is up.
func eventually(t *testing.T, diff func() string) {
	t.Helper()
	var d string
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if d = diff(); d == "" {
			return
		}
	}
	t.Fatalf("not so in time, -want +got:\n%s", d)
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

// errors returns the errors that were logged.
func (r *records) errors() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, line := range r.lines {
		all = append(all, line["msg"].(string)+": "+line["error"].(string))
	}
	return all
}

func (r *records) String() string { return "logged: " + strings.Join(r.errors(), "\n") }
