package telemetry

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// local has nothing exported, so that a test needs no servers.
func local(t *testing.T) {
	t.Helper()
	t.Setenv("OTEL_SDK_DISABLED", "true")
}

func get(t *testing.T, h http.Handler, accept string) *http.Response {
	t.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", resp.Status, err)
	}
	resp.Body = io.NopCloser(strings.NewReader(string(body)))
	return resp
}

func TestMetricsHandlerNegotiates(t *testing.T) {
	local(t)
	tel := start(t, WithLogWriter(io.Discard))
	durations := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "message_duration_seconds", Help: "x",
		Buckets: []float64{.1, 1}, NativeHistogramBucketFactor: 1.1, NativeHistogramMaxExemplars: 10,
	})
	tel.Registry().MustRegister(durations)
	durations.(prometheus.ExemplarObserver).ObserveWithExemplar(.25, prometheus.Labels{"trace_id": "0a"})

	t.Run("OpenMetrics with exemplars", func(t *testing.T) {
		resp := get(t, tel.MetricsHandler(), "application/openmetrics-text;version=1.0.0")
		body, _ := io.ReadAll(resp.Body)
		if want := `message_duration_seconds_bucket{le="1.0"} 1 # {trace_id="0a"} 0.25`; !strings.Contains(string(body), want) {
			t.Errorf("%s: no %s in\n%s", resp.Header.Get("Content-Type"), want, body)
		}
	})
	t.Run("protobuf with native histograms", func(t *testing.T) {
		resp := get(t, tel.MetricsHandler(), "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
		decoder := expfmt.NewDecoder(resp.Body, expfmt.ResponseFormat(resp.Header))
		for {
			var family dto.MetricFamily
			if err := decoder.Decode(&family); err != nil {
				t.Fatalf("no histogram in %s: %v", resp.Header.Get("Content-Type"), err)
			}
			if family.GetName() != "message_duration_seconds" {
				continue
			}
			h := family.GetMetric()[0].GetHistogram()
			if len(h.GetPositiveSpan()) != 1 || len(h.GetBucket()) != 2 || h.GetExemplars()[0].GetLabel()[0].GetValue() != "0a" {
				t.Errorf("histogram %v: want native and classic buckets and the exemplar", h)
			}
			return
		}
	})
	t.Run("plain text", func(t *testing.T) {
		resp := get(t, tel.MetricsHandler(), "")
		if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "text/plain" {
			t.Errorf("Content-Type %q", resp.Header.Get("Content-Type"))
		}
	})
}

func TestMetricsOfItsOwn(t *testing.T) {
	local(t)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector()) // as a service may have done
	tel := start(t, WithRegistry(registry), WithLogWriter(io.Discard))
	if tel.Registry() != registry {
		t.Error("Registry is not the one that was given")
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, f := range families {
		names[f.GetName()] = true
	}
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes", "sockscope_spans_total", "sockscope_log_records_total", "sockscope_log_queue_records"} {
		if !names[name] {
			t.Errorf("no %s", name)
		}
	}
	own, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range own {
		if strings.HasPrefix(problem.Metric, "sockscope_") {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}

	if _, err := Start(t.Context(), WithRegistry(registry), WithLogWriter(io.Discard)); err == nil || !strings.Contains(err.Error(), "a registry serves one Start") {
		t.Errorf("second Start with the registry: %v", err)
	}
}

func TestBrokenCollectorHidesNothingElse(t *testing.T) {
	local(t)
	written := newLines()
	tel := start(t, WithLogWriter(written))
	tel.Registry().MustRegister(brokenCollector{})
	body, _ := io.ReadAll(get(t, tel.MetricsHandler(), "").Body)
	if !strings.Contains(string(body), "go_goroutines") {
		t.Errorf("no other metrics in\n%s", body)
	}
	written.find(t, `"msg":"metrics gathering failed"`, "out of order")
}

type brokenCollector struct{}

func (brokenCollector) Describe(chan<- *prometheus.Desc) {}

func (brokenCollector) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.NewInvalidMetric(prometheus.NewDesc("broken", "x", nil, nil), errors.New("out of order"))
}
