package telemetry

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"
)

// TestMain finds goroutines that outlive the tests, those of gRPC and the OpenTelemetry SDK included.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit is how long anything may take before a test calls it hung. Nothing is expected to take nearly as long.
const limit = time.Minute

// start calls Start, and Shutdown when the test ends.
func start(t *testing.T, opts ...Option) *Telemetry {
	t.Helper()
	tel, err := Start(t.Context(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		_ = tel.Shutdown(ctx) // tests that expect something of it call it themselves, and first
	})
	return tel
}

// within fails the test unless f returns before the limit.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatalf("%s: not done after %s", what, limit)
	}
}

// eventually retries until ok, and fails the test if that takes longer than the limit.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not so after %s", what, limit)
		}
	}
}

// logMetrics are the metrics of log export.
type logMetrics struct{ sent, dropped, failed, queued float64 }

func gatherLogMetrics(t *testing.T, g prometheus.Gatherer) (m logMetrics) {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		switch family.GetName() {
		case "sockscope_log_records_total":
			for _, metric := range family.GetMetric() {
				*map[string]*float64{"sent": &m.sent, "dropped": &m.dropped, "failed": &m.failed}[result(metric)] = metric.GetCounter().GetValue()
			}
		case "sockscope_log_queue_records":
			m.queued = family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return m
}

func result(m *dto.Metric) string { return m.GetLabel()[0].GetValue() }
