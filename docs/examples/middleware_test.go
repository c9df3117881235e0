package examples_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/sockscope/sockscope/instrument"
)

func TestUpgradesAreNoRequests(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /ws", func(w http.ResponseWriter, r *http.Request) {
		if conn, err := websocket.Accept(w, r, nil); err == nil {
			_ = conn.CloseNow()
		}
	})

	// promhttp, or any other middleware
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_duration_seconds"}, nil)
	handler := instrument.WithoutUpgrades(promhttp.InstrumentHandlerDuration(seconds, mux), mux)

	// otelhttp
	reader := metric.NewManualReader()
	handler = otelhttp.NewHandler(handler, "http", otelhttp.WithFilter(instrument.IsNotUpgrade),
		otelhttp.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(reader))))

	served := make(chan struct{}, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r)
		served <- struct{}{}
	}))
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
	<-served
	<-served

	registry := prometheus.NewRegistry()
	registry.MustRegister(seconds)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if got := families[0].GetMetric()[0].GetHistogram().GetSampleCount(); got != 1 {
		t.Errorf("promhttp has measured %d requests, want 1", got)
	}
	var measured metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &measured); err != nil {
		t.Fatal(err)
	}
	var requests uint64
	for _, m := range measured.ScopeMetrics[0].Metrics {
		if durations, ok := m.Data.(metricdata.Histogram[float64]); ok && m.Name == "http.server.request.duration" {
			for _, of := range durations.DataPoints {
				requests += of.Count
			}
		}
	}
	if requests != 1 {
		t.Errorf("otelhttp has measured %d requests, want 1", requests)
	}
}
