package coder_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
	"github.com/sockscope/sockscope/instrument/ws/coder"
)

// noHijack promises to be hijacked and then is not.
type noHijack struct{ http.ResponseWriter }

func (noHijack) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, http.ErrHijacked }

// unwrapping is what most middlewares put in front of a ResponseWriter.
type unwrapping struct{ http.ResponseWriter }

func (w unwrapping) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// hijacking is what older middlewares put in front of it.
type hijacking struct{ http.ResponseWriter }

func (w hijacking) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// holding is like gin's: the header is held back until WriteHeaderNow.
type holding struct {
	http.ResponseWriter
	status int
}

func (w *holding) WriteHeader(status int) { w.status = status }

func (w *holding) WriteHeaderNow() { w.ResponseWriter.WriteHeader(w.status) }

func (w *holding) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// TestMiddlewares accepts connections through wrapped ResponseWriters.
func TestMiddlewares(t *testing.T) {
	for name, wrap := range map[string]func(http.ResponseWriter) http.ResponseWriter{
		"none":           func(w http.ResponseWriter) http.ResponseWriter { return w },
		"Unwrap":         func(w http.ResponseWriter) http.ResponseWriter { return unwrapping{w} },
		"Hijack":         func(w http.ResponseWriter) http.ResponseWriter { return hijacking{w} },
		"both, nested":   func(w http.ResponseWriter) http.ResponseWriter { return unwrapping{hijacking{unwrapping{w}}} },
		"WriteHeaderNow": func(w http.ResponseWriter) http.ResponseWriter { return &holding{ResponseWriter: w} },
	} {
		t.Run(name, func(t *testing.T) {
			s := acceptAfter(t, func(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, *http.Request) {
				return wrap(w), r
			})
			c := dial(t, s.URL)
			if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Fatal(err)
			}
			s.ExpectOnly(map[string]float64{
				`websocket_connections_total{status="connected"}`:                    1,
				`websocket_handshake_duration_seconds_count{status="connected"}`:     1,
				`websocket_connection_duration_seconds_count{reason="normal"}`:       1,
				`websocket_disconnections_total{initiator="remote",reason="normal"}`: 1,
			})
		})
	}
}

// TestHandshakeOfTheApplication has the application begin the handshake and refuse or leave it to Accept: either way
// there is one.
func TestHandshakeOfTheApplication(t *testing.T) {
	var s *server
	s = acceptAfter(t, func(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, *http.Request) {
		ctx, h := s.Observer.BeginHandshake(r.Context(), instrument.HTTPRequest(r))
		if r.Header.Get("Authorization") == "" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			h.Refused(instrument.StatusUnauthorized, http.StatusUnauthorized, nil)
			return nil, nil
		}
		return w, r.WithContext(ctx)
	})
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	_, resp, err := websocket.Dial(ctx, s.URL, nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusUnauthorized {
		t.Fatalf("dial without a token: %v, %v, want 401", resp, err)
	}
	c, _, err := websocket.Dial(ctx, s.URL, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer x"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
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

// TestUnobserved uses the adapter without an observer, which leaves plain coder/websocket.
func TestUnobserved(t *testing.T) {
	s := acceptAfter(t, func(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, *http.Request) { return w, r })
	s.Observer = nil
	c := dial(t, s.URL)
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
}

// acceptAfter serves connections that are read until they end, after a middleware that may refuse them by returning
// nil.
func acceptAfter(t *testing.T, middleware func(http.ResponseWriter, *http.Request) (http.ResponseWriter, *http.Request)) *server {
	t.Helper()
	s := &server{Recorder: realtimetest.New(t)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w, r = middleware(w, r)
		if w == nil {
			return
		}
		c, err := coder.Accept(w, r, s.Observer, nil)
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		defer c.CloseNow()
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		_ = readToEnd(ctx, c)
	}))
	t.Cleanup(s.Close)
	return s
}
