package instrument_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sockscope/sockscope/instrument"
)

func TestIsUpgrade(t *testing.T) {
	tests := map[string]struct {
		method string
		header http.Header
		want   bool
	}{
		"plain":              {http.MethodGet, http.Header{"Accept": {"text/html, */*"}}, false},
		"nothing":            {http.MethodGet, nil, false},
		"websocket":          {http.MethodGet, http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}, true},
		"websocket, case":    {http.MethodGet, http.Header{"Upgrade": {"h2c, WebSocket"}}, true},
		"h2c":                {http.MethodGet, http.Header{"Upgrade": {"h2c"}}, false},
		"extended CONNECT":   {http.MethodConnect, http.Header{":protocol": {"websocket"}}, true},
		"CONNECT of a proxy": {http.MethodConnect, nil, false},
		"events":             {http.MethodGet, http.Header{"Accept": {"text/event-stream"}}, true},
		"events, parameters": {http.MethodGet, http.Header{"Accept": {"text/html;q=0.1, text/event-stream;q=0.9"}}, true},
		// MCP's HTTP transport posts every message so.
		"answered by events": {http.MethodPost, http.Header{"Accept": {"application/json, text/event-stream"}}, false},
		"events, two values": {http.MethodGet, http.Header{"Accept": {"text/html", "text/event-stream"}}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "http://chat.example/", nil)
			r.Header = tt.header
			if got := instrument.IsUpgrade(r); got != tt.want || instrument.IsNotUpgrade(r) == got {
				t.Errorf("IsUpgrade = %v, IsNotUpgrade = %v, want %v", got, instrument.IsNotUpgrade(r), tt.want)
			}
		})
	}
}

// TestWithoutUpgrades keeps an upgrade out of promhttp's histogram.
func TestWithoutUpgrades(t *testing.T) {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_duration_seconds"}, nil)
	served := 0
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ })
	h := instrument.WithoutUpgrades(promhttp.InstrumentHandlerDuration(seconds, next), next)
	upgrade := httptest.NewRequest(http.MethodGet, "/", nil)
	upgrade.Header.Set("Upgrade", "websocket")
	h.ServeHTTP(httptest.NewRecorder(), upgrade)
	if n := testutil.CollectAndCount(seconds); n != 0 || served != 1 {
		t.Errorf("upgrade: %d series, served %d, want 0 and 1", n, served)
	}
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	if n := testutil.CollectAndCount(seconds); n != 1 || served != 2 {
		t.Errorf("request: %d series, served %d, want 1 and 2", n, served)
	}
}
