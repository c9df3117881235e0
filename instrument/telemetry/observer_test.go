package telemetry_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/telemetry"
)

func TestNewObserver(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	t.Setenv("OTEL_LOGS_EXPORTER", "none")
	var out bytes.Buffer
	tel, err := telemetry.Start(t.Context(), telemetry.WithLogWriter(&out))
	if err != nil {
		t.Fatal(err)
	}
	o, err := tel.NewObserver(instrument.WithNamespace("chat"))
	if err != nil {
		t.Fatal(err)
	}
	_, h := o.BeginHandshake(t.Context(), instrument.Request{})
	h.Opened(101)
	if !strings.Contains(out.String(), "connection opened") {
		t.Errorf("the log is %q, want the observer's record", &out)
	}
	answer := httptest.NewRecorder()
	tel.MetricsHandler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if want := `websocket_active_connections{namespace="chat"} 1`; !strings.Contains(answer.Body.String(), want) {
		t.Errorf("/metrics lacks %s", want)
	}
	if _, err := tel.NewObserver(instrument.WithNamespace("")); err == nil || !strings.Contains(err.Error(), "namespace") {
		t.Errorf("NewObserver = %v, want an error that names the option", err)
	}
	if _, err := tel.NewObserver(instrument.WithNamespace("chat")); err == nil || !strings.Contains(err.Error(), "register") {
		t.Errorf("NewObserver = %v, want an error that another observer is registered", err)
	}

	if _, err := tel.NewObserver(instrument.WithNamespace("quiet"), instrument.WithoutTracing()); err != nil {
		t.Error(err)
	}
}
