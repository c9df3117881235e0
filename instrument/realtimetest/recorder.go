package realtimetest

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sockscope/sockscope/instrument"
)

// patience is how long to wait for work that a service does after its peers have received what the test waits for.
const patience = 10 * time.Second

// A Recorder has an Observer and records everything that the Observer exports. Its methods are safe for concurrent use.
type Recorder struct {
	// Observer is the observer for the code under test. It samples everything.
	Observer *instrument.Observer

	t       testing.TB
	spans   *tracetest.SpanRecorder
	records lines
}

// New makes a Recorder whose Observer has the given options, and ends the test if they are wrong. If you set a tracer
// provider or a logger, it replaces the recorder's own, and the recorder gets no spans or no records.
func New(t testing.TB, opts ...instrument.Option) *Recorder {
	t.Helper()
	r := &Recorder{t: t, spans: tracetest.NewSpanRecorder()}
	all := append([]instrument.Option{
		instrument.WithSampleRatio(1),
		instrument.WithSpanLimit(math.MaxInt32),
		instrument.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r.spans))),
		instrument.WithLogger(slog.New(slog.NewJSONHandler(&r.records, nil))),
	}, opts...)
	var err error
	if r.Observer, err = instrument.New(all...); err != nil {
		t.Fatal(err)
	}
	return r
}

// Metrics returns the Metrics of the Observer.
func (r *Recorder) Metrics() map[string]float64 {
	r.t.Helper()
	return Metrics(r.t, r.Observer)
}

// Expect waits until each of the series has its value. The value is 0 for a series that must not have moved. If they
// don't get there within ten seconds, Expect fails the test. Other series may have any value.
func (r *Recorder) Expect(want map[string]float64) {
	r.t.Helper()
	r.expect(want, func(string) bool { return true })
}

// ExpectOnly is like Expect, but all series that are not in want must not have moved. Series that measure time, such as
// sums of durations and the time of the last message, may have any value unless they are in want. So may series whose
// names begin with one of the prefixes in but.
func (r *Recorder) ExpectOnly(want map[string]float64, but ...string) {
	r.t.Helper()
	r.expect(want, func(series string) bool {
		return measuresTime(series) || slices.ContainsFunc(but, func(prefix string) bool { return strings.HasPrefix(series, prefix) })
	})
}

// expect waits until the series have their values, and all others are 0 or free.
func (r *Recorder) expect(want map[string]float64, free func(series string) bool) {
	r.t.Helper()
	var wanted, got map[string]float64
	met := func() bool {
		got, wanted = r.Metrics(), map[string]float64{}
		for series := range got {
			if !free(series) {
				wanted[series] = 0
			}
		}
		maps.Copy(wanted, want)
		return len(differing(wanted, got)) == 0
	}
	if eventually(met) {
		return
	}
	for _, series := range differing(wanted, got) {
		r.t.Errorf("%s is %v, want %v", series, got[series], wanted[series])
	}
}

// eventually checks the condition, first often and then less often, until it is met, and says whether it was met in
// time.
func eventually(met func() bool) bool {
	end := time.Now().Add(patience)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if met() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
		time.Sleep(pause)
	}
}

// Spans returns the spans that have ended, in that order.
func (r *Recorder) Spans() []sdktrace.ReadOnlySpan { return r.spans.Ended() }

// Record returns the fields of the first log record with that message. It waits for the record, because a record is
// written after the event is counted. If there is none within ten seconds, Record ends the test.
func (r *Recorder) Record(message string) map[string]any {
	r.t.Helper()
	var found []map[string]any
	if !eventually(func() bool { found = r.Records(message); return len(found) > 0 }) {
		r.t.Fatalf("no log record %q; there are:\n%s", message, r.records.String())
	}
	return found[0]
}

// Records returns the fields of the log records with that message, in the order in which they were written. The records
// of one message are limited as in production: 100 a second of `connection opened` and `connection closed`, and 10 of
// each other message. Slow and failed messages that are sampled are not limited. The field suppressed of the next
// record says how many were left out. Metrics and spans are complete.
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
