package check

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzAnswers gives every step any answer at all: it may fail, but neither panic nor hang.
func FuzzAnswers(f *testing.F) {
	names, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	if err != nil || len(names) == 0 {
		f.Fatalf("no recorded answers: %v", err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	var answer []byte // one input at a time
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer) }))
	defer server.Close()
	f.Fuzz(func(t *testing.T, data []byte) {
		answer = data
		cfg := Config{Prometheus: server.URL, Jaeger: server.URL, Loki: server.URL, Desk: server.URL, Timeout: time.Second}
		tryAll(t, cfg)
		cfg.Loki, cfg.VictoriaLogs = "", server.URL
		tryAll(t, cfg)
	})
}

func tryAll(t *testing.T, cfg Config) {
	r := newRun(cfg)
	defer r.http.CloseIdleConnections()
	r.marked.trace, r.marked.ours = newSpanContext(), newSpanContext()
	for _, s := range r.steps() {
		if s.name == "answer" || s.name == "sample" {
			continue // they speak WebSocket
		}
		detail, err := s.try(t.Context())
		if (err == nil) != (detail != "") {
			t.Errorf("step %s: detail %q, error %v", s.name, detail, err)
		}
	}
}
