package gorilla_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
	"github.com/sockscope/sockscope/instrument/ws/gorilla"
)

func upgradeHeader() http.Header {
	return http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="},
	}
}

// TestRefused has handshakes refused and compares what the peer gets, what is counted and what is logged.
func TestRefused(t *testing.T) {
	tests := map[string]struct {
		method         string
		header         http.Header // replaces those of an upgrade
		response       http.Header
		status, reason string
		code           int
		kind           string
	}{
		"foreign origin": {
			http.MethodGet, http.Header{"Origin": {"https://evil.example"}}, nil, "forbidden", "origin not allowed", 403, "auth",
		},
		"no upgrade": {
			http.MethodGet, http.Header{"Upgrade": nil}, nil, "bad_handshake", "'websocket' token not found", 400, "handshake",
		},
		"not a GET": {http.MethodPost, nil, nil, "bad_handshake", "not GET", 405, "handshake"},
		"unknown version": {
			http.MethodGet, http.Header{"Sec-Websocket-Version": {"7"}}, nil, "bad_handshake", "version", 400, "handshake",
		},
		"no key": {
			http.MethodGet, http.Header{"Sec-Websocket-Key": nil}, nil, "bad_handshake", "Key", 400, "handshake",
		},
		"our mistake": {
			http.MethodGet, nil, http.Header{"Sec-Websocket-Extensions": {"x"}}, "error", "Extensions", 500, "handshake",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, func(s *server, w http.ResponseWriter, r *http.Request) {
				if c, err := gorilla.Upgrade(w, r, s.Observer, nil, tt.response); err == nil {
					t.Error("a handshake that must be refused was accepted")
					_ = c.Close()
				}
			})
			observed := request(t, s, tt.method, tt.header)
			bare := newServer(t, func(_ *server, w http.ResponseWriter, r *http.Request) {
				_, _ = new(websocket.Upgrader).Upgrade(w, r, tt.response)
			})
			if diff := cmp.Diff(request(t, bare, tt.method, tt.header), observed); diff != "" {
				t.Errorf("answer, -bare +observed:\n%s", diff)
			}
			s.ExpectOnly(refusedCounts(tt.status, tt.kind))
			got := s.Record("handshake refused")
			if text, _ := got["error"].(string); got["status"] != tt.status || got["http_status"] != float64(tt.code) ||
				!strings.Contains(text, tt.reason) {
				t.Errorf("record is %v, want status %s, http_status %d, error with %q", got, tt.status, tt.code, tt.reason)
			}
		})
	}
}

func refusedCounts(status, kind string) map[string]float64 {
	return map[string]float64{
		`websocket_connections_total{status="` + status + `"}`:                1,
		`websocket_handshake_duration_seconds_count{status="` + status + `"}`: 1,
		`websocket_errors_total{kind="` + kind + `"}`:                         1,
	}
}

type answer struct {
	Status int
	Header http.Header
	Body   string
}

func request(t *testing.T, s *server, method string, header http.Header) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = upgradeHeader()
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Header.Del("Date")
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// TestErrorIsChained wants the application's Error to answer as ever, and its Upgrader to be left as it was.
func TestErrorIsChained(t *testing.T) {
	upgrader := &websocket.Upgrader{
		CheckOrigin: func(*http.Request) bool { return false },
		Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
			http.Error(w, "sorry: "+reason.Error(), status)
		},
	}
	s := newServer(t, func(s *server, w http.ResponseWriter, r *http.Request) {
		var handshake websocket.HandshakeError
		if _, err := gorilla.Upgrade(w, r, s.Observer, upgrader, nil); !errors.As(err, &handshake) {
			t.Errorf("Upgrade: %v, want a HandshakeError", err)
		}
	})
	for range 2 {
		if got := request(t, s, http.MethodGet, nil); got.Status != 403 || !strings.HasPrefix(got.Body, "sorry: ") {
			t.Errorf("answered %v, want the application's 403", got)
		}
	}
	s.ExpectOnly(map[string]float64{
		`websocket_connections_total{status="forbidden"}`:                2,
		`websocket_handshake_duration_seconds_count{status="forbidden"}`: 2,
		`websocket_errors_total{kind="auth"}`:                            2,
	})
}

// early is a connection on which the peer has sent data before the handshake was complete.
type early struct{ http.ResponseWriter }

func (early) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	server, client := net.Pipe()
	_ = client.Close()
	r := bufio.NewReader(strings.NewReader("too early"))
	_, _ = r.Peek(1)
	return server, bufio.NewReadWriter(r, bufio.NewWriter(server)), nil
}

// broken is a connection that cannot be taken over.
type broken struct{ http.ResponseWriter }

func (broken) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, http.ErrHijacked }

// TestRefusedByHijack has handshakes fail after the request was found good.
func TestRefusedByHijack(t *testing.T) {
	for name, tt := range map[string]struct {
		w      func(http.ResponseWriter) http.ResponseWriter
		status string
	}{
		"no hijacker": {func(w http.ResponseWriter) http.ResponseWriter { return struct{ http.ResponseWriter }{w} }, "error"},
		"broken":      {func(w http.ResponseWriter) http.ResponseWriter { return broken{w} }, "error"},
		"early data":  {func(w http.ResponseWriter) http.ResponseWriter { return early{w} }, "bad_handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			recorder := realtimetest.New(t)
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header = upgradeHeader()
			if _, err := gorilla.Upgrade(tt.w(httptest.NewRecorder()), r, recorder.Observer, nil, nil); err == nil {
				t.Fatal("upgraded")
			}
			recorder.ExpectOnly(refusedCounts(tt.status, "handshake"))
		})
	}
}

// TestHandshakeOfTheApplication has the application begin the handshake and refuse or leave it to Upgrade: either way
// there is one.
func TestHandshakeOfTheApplication(t *testing.T) {
	s := newServer(t, func(s *server, w http.ResponseWriter, r *http.Request) {
		ctx, h := s.Observer.BeginHandshake(r.Context(), instrument.HTTPRequest(r))
		if r.Header.Get("Authorization") == "" && r.URL.Path != "/guest" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			h.Refused(instrument.StatusUnauthorized, http.StatusUnauthorized, nil)
			return
		}
		c, err := gorilla.Upgrade(w, r.WithContext(ctx), s.Observer, nil, nil)
		if err != nil {
			t.Error(err)
			return
		}
		readUntilEnd(s.Observer, c)
	})
	if got := request(t, s, http.MethodGet, nil); got.Status != http.StatusUnauthorized {
		t.Errorf("answered %d, want 401", got.Status)
	}
	peerCloses(1000)(t, dial(t, s.URL+"/guest"), nil)
	s.ExpectOnly(map[string]float64{
		`websocket_connections_total{status="connected"}`:                    1,
		`websocket_connections_total{status="unauthorized"}`:                 1,
		`websocket_handshake_duration_seconds_count{status="connected"}`:     1,
		`websocket_handshake_duration_seconds_count{status="unauthorized"}`:  1,
		`websocket_errors_total{kind="auth"}`:                                1,
		`websocket_connection_duration_seconds_count{reason="normal"}`:       1,
		`websocket_disconnections_total{initiator="remote",reason="normal"}`: 1,
	})
}
