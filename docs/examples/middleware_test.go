package examples_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/sockscope/sockscope/instrument"
)

func TestConnectionsAreNoRequests(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /ws", func(w http.ResponseWriter, r *http.Request) {
		if conn, err := websocket.Accept(w, r, nil); err == nil {
			defer conn.CloseNow()
			_, _, _ = conn.Read(context.Background()) // for as long as the peer stays
		}
	})

	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_duration_seconds"}, []string{"code"})
	reader := metric.NewManualReader()
	handler := instrument.UntilConnected(func(next http.Handler) http.Handler {
		next = promhttp.InstrumentHandlerDuration(seconds, next)
		return otelhttp.NewHandler(next, "http", otelhttp.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(reader))))
	}, mux)

	server := httptest.NewServer(handler)
	defer server.Close()
	conn, _, err := websocket.Dial(t.Context(), server.URL+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	response, err := http.Get(server.URL + "/hello")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()

	// The connection is still open, and its handshake measured: as soon as the middleware has noticed that it is over.
	want := map[string]uint64{"101": 1, "200": 1}
	giveUp := time.After(10 * time.Second)
	for {
		byPromhttp, byOtelhttp := requests(t, seconds), requestsOf(t, reader)
		if maps.Equal(byPromhttp, want) && byOtelhttp == 2 {
			return
		}
		select {
		case <-time.After(time.Millisecond):
		case <-giveUp:
			t.Fatalf("promhttp has measured %v and otelhttp %d requests, want %v and 2", byPromhttp, byOtelhttp, want)
		}
	}
}

// requests returns how many requests promhttp has measured, by status.
func requests(t *testing.T, seconds *prometheus.HistogramVec) map[string]uint64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(seconds)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	statuses := map[string]uint64{}
	for _, family := range families { // none before the first request
		for _, m := range family.GetMetric() {
			statuses[m.GetLabel()[0].GetValue()] = m.GetHistogram().GetSampleCount()
		}
	}
	return statuses
}

// requestsOf returns how many requests otelhttp has measured.
func requestsOf(t *testing.T, reader metric.Reader) (n uint64) {
	t.Helper()
	var measured metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &measured); err != nil {
		t.Fatal(err)
	}
	for _, scope := range measured.ScopeMetrics {
		for _, m := range scope.Metrics {
			if durations, ok := m.Data.(metricdata.Histogram[float64]); ok && m.Name == "http.server.request.duration" {
				for _, of := range durations.DataPoints {
					n += of.Count
				}
			}
		}
	}
	return n
}
