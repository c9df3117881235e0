package coder_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sockscope/sockscope/instrument/realtimetest"
	"github.com/sockscope/sockscope/instrument/ws/coder"
)

// TestRefused has handshakes refused and compares what the peer gets, what is counted and what is logged.
func TestRefused(t *testing.T) {
	upgrade := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="},
	}
	tests := map[string]struct {
		method         string
		header         http.Header // replaces those of upgrade
		status, reason string
		code           int
		kind           string
	}{
		"foreign origin":  {http.MethodGet, http.Header{"Origin": {"https://evil.example"}}, "forbidden", "not authorized", 403, "auth"},
		"no upgrade":      {http.MethodGet, http.Header{"Upgrade": nil}, "bad_handshake", "does not contain websocket", 426, "handshake"},
		"not a GET":       {http.MethodPost, nil, "bad_handshake", "not GET", 405, "handshake"},
		"unknown version": {http.MethodGet, http.Header{"Sec-Websocket-Version": {"7"}}, "bad_handshake", "version", 400, "handshake"},
		"no key":          {http.MethodGet, http.Header{"Sec-Websocket-Key": nil}, "bad_handshake", "Key", 400, "handshake"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newRefusing(t, func(w http.ResponseWriter) http.ResponseWriter { return w })
			req, err := http.NewRequestWithContext(t.Context(), tt.method, s.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = upgrade.Clone()
			for k, v := range tt.header {
				req.Header[k] = v
			}
			s.refused(t, req, tt.status, tt.code, tt.kind, tt.reason)
		})
	}
	wrappers := map[string]func(http.ResponseWriter) http.ResponseWriter{
		"no hijacker": func(w http.ResponseWriter) http.ResponseWriter { return struct{ http.ResponseWriter }{w} },
	}
	for name, wrap := range wrappers {
		t.Run(name, func(t *testing.T) {
			s := newRefusing(t, wrap)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = upgrade.Clone()
			s.refused(t, req, "error", http.StatusNotImplemented, "handshake", "http.Hijacker")
		})
	}
}

func newRefusing(t *testing.T, wrap func(http.ResponseWriter) http.ResponseWriter) *server {
	t.Helper()
	s := &server{Recorder: realtimetest.New(t)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := coder.Accept(wrap(w), r, s.Observer, nil); err == nil {
			t.Error("a handshake that must be refused was accepted")
			_ = c.CloseNow()
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) refused(t *testing.T, req *http.Request, status string, code int, kind, reason string) {
	t.Helper()
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != code {
		t.Errorf("answered %d, want %d", resp.StatusCode, code)
	}
	s.ExpectOnly(map[string]float64{
		`websocket_connections_total{status="` + status + `"}`:                1,
		`websocket_handshake_duration_seconds_count{status="` + status + `"}`: 1,
		`websocket_errors_total{kind="` + kind + `"}`:                         1,
	})
	got := s.Record("handshake refused")
	if text, _ := got["error"].(string); got["status"] != status || got["http_status"] != float64(code) || !strings.Contains(text, reason) {
		t.Errorf("record is %v, want status %s, http_status %d, error with %q", got, status, code, reason)
	}
}

// TestRefusedByHijack has the connection refuse to be taken over after 101 was announced.
func TestRefusedByHijack(t *testing.T) {
	recorder := realtimetest.New(t)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="},
	}
	if _, err := coder.Accept(noHijack{httptest.NewRecorder()}, r, recorder.Observer, nil); !errors.Is(err, http.ErrHijacked) {
		t.Fatalf("Accept: %v, want http.ErrHijacked", err)
	}
	recorder.ExpectOnly(map[string]float64{
		`websocket_connections_total{status="error"}`:                1,
		`websocket_handshake_duration_seconds_count{status="error"}`: 1,
		`websocket_errors_total{kind="handshake"}`:                   1,
	})
}
