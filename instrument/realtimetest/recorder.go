package realtimetest

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sockscope/sockscope/instrument"
)

// patience is for how long Expect waits for what the peers of a test do meanwhile.
const patience = 10 * time.Second

// A Recorder has an Observer and everything that it exports. Its methods are safe for concurrent use.
type Recorder struct {
	// Observer is the one to give to the code under test. It samples every message.
	Observer *instrument.Observer

	t        testing.TB
	registry *prometheus.Registry
	spans    *tracetest.SpanRecorder
	records  lines
}

// New makes a Recorder whose Observer has the options given, and ends the test if they are wrong. Options for the tracer
// provider and the logger replace the recorder's own, which then gets no spans or no records.
func New(t testing.TB, opts ...instrument.Option) *Recorder {
	t.Helper()
	r := &Recorder{t: t, registry: prometheus.NewPedanticRegistry(), spans: tracetest.NewSpanRecorder()}
	all := append([]instrument.Option{
		instrument.WithSampleRatio(1),
		instrument.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r.spans))),
		instrument.WithLogger(slog.New(slog.NewJSONHandler(&r.records, nil))),
	}, opts...)
	var err error
	if r.Observer, err = instrument.New(all...); err != nil {
		t.Fatal(err)
	}
	if err := r.registry.Register(r.Observer); err != nil {
		t.Fatal(err)
	}
	return r
}

// Metrics returns the value of every series that is not 0, by its name and its labels but the namespace, as in
// `websocket_connections_total{status="connected"}`. A histogram is there by its _count and _sum.
func (r *Recorder) Metrics() map[string]float64 {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	got := map[string]float64{}
	add := func(name, labels string, v float64) {
		if v != 0 {
			got[name+"{"+labels+"}"] = v
		}
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				if l.GetName() != "namespace" {
					labels = append(labels, l.GetName()+"="+strconv.Quote(l.GetValue()))
				}
			}
			joined := strings.Join(labels, ",")
			add(f.GetName(), joined, m.GetCounter().GetValue()+m.GetGauge().GetValue())
			add(f.GetName()+"_count", joined, float64(m.GetHistogram().GetSampleCount()))
			add(f.GetName()+"_sum", joined, m.GetHistogram().GetSampleSum())
		}
	}
	return got
}

// Expect waits until each of the series has its value, 0 for one that must not have moved, and fails the test if they
// do not get there within ten seconds. Other series may have any value.
func (r *Recorder) Expect(want map[string]float64) {
	r.t.Helper()
	var got map[string]float64
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		got = r.Metrics()
		if len(differing(want, got)) == 0 {
			return
		}
	}
	for _, name := range differing(want, got) {
		r.t.Errorf("%s is %v, want %v", name, got[name], want[name])
	}
}

func differing(want, got map[string]float64) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			names = append(names, name)
		}
	}
	return names
}

// Spans returns the spans that have ended, in that order.
func (r *Recorder) Spans() []sdktrace.ReadOnlySpan { return r.spans.Ended() }

// Records returns the fields of the log records with that message, in the order in which they were written.
func (r *Recorder) Records(message string) (found []map[string]any) {
	r.t.Helper()
	for line := range strings.Lines(r.records.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			r.t.Fatalf("log record %q: %v", line, err)
		}
		if fields[slog.MessageKey] == message {
			found = append(found, fields)
		}
	}
	return found
}

// lines is a buffer that can be read while it is written to.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
