package instrument_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"
	gorilla "github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
)

// TestFieldCase06Measured has requests ask for all kinds of things, and wants them to be measured by what became of
// them: each once, with its status, when its connection is open at the latest.
func TestFieldCase06Measured(t *testing.T) {
	mux := http.NewServeMux()
	open, leave := make(chan struct{}, 1), make(chan struct{})
	stay := func() { open <- struct{}{}; <-leave }
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	mux.HandleFunc("/nothing", func(w http.ResponseWriter, r *http.Request) {})
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "<html>") })
	mux.HandleFunc("/coder", func(w http.ResponseWriter, r *http.Request) {
		if c, err := websocket.Accept(w, r, nil); err == nil {
			defer c.CloseNow()
			stay()
		}
	})
	mux.HandleFunc("/gorilla", func(w http.ResponseWriter, r *http.Request) {
		var u gorilla.Upgrader
		if c, err := u.Upgrade(w, r, nil); err == nil {
			defer c.Close()
			stay()
		}
	})
	mux.HandleFunc("/gobwas", func(w http.ResponseWriter, r *http.Request) {
		c, _, _, err := ws.UpgradeHTTP(r, w)
		if c != nil {
			defer c.Close()
		}
		if err == nil {
			stay()
		}
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		w.(http.Flusher).Flush()
		stay()
		_, _ = io.WriteString(w, "data: late\n\n")
	})
	mux.HandleFunc("/events/written", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: early\n\n")
		_ = http.NewResponseController(w).Flush()
		stay()
	})
	upgrade := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	half := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}
	tests := map[string]struct {
		method, path string
		header       http.Header
		status       string
		stays        bool
	}{
		"plain":                         {"GET", "/login", nil, "401", false},
		"asks for a WebSocket":          {"GET", "/login", half, "401", false},
		"asks for events":               {"GET", "/login", http.Header{"Accept": {"text/event-stream"}}, "401", false},
		"posts and asks":                {"POST", "/login", half, "401", false},
		"no answer of its own":          {"GET", "/nothing", half, "200", false},
		"a page":                        {"GET", "/page", half, "200", false},
		"nobody's":                      {"GET", "/nowhere", nil, "404", false},
		"coder":                         {"GET", "/coder", upgrade, "101", true},
		"gorilla":                       {"GET", "/gorilla", upgrade, "101", true},
		"gobwas":                        {"GET", "/gobwas", upgrade, "101", true},
		"coder refuses":                 {"GET", "/coder", half, "400", false},
		"gorilla refuses":               {"GET", "/gorilla", half, "400", false},
		"gobwas refuses":                {"GET", "/gobwas", half, "400", false},
		"events":                        {"GET", "/events", http.Header{"Accept": {"*/*"}}, "200", true},
		"events, asked for by POST":     {"POST", "/events/written", nil, "200", true},
		"events to whom asks otherwise": {"GET", "/events", half, "200", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_duration_seconds"}, []string{"code"})
			h := instrument.UntilConnected(func(next http.Handler) http.Handler {
				return promhttp.InstrumentHandlerDuration(seconds, next)
			}, mux)
			served := make(chan struct{})
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(served)
				h.ServeHTTP(w, r)
			}))
			var complaints bytes.Buffer
			server.Config.ErrorLog = log.New(&complaints, "", 0) // which locks
			server.Start()
			defer server.Close()
			measured := func() (series []string) {
				for name := range realtimetest.Metrics(t, seconds) {
					if strings.Contains(name, "_count") {
						series = append(series, name)
					}
				}
				return series
			}
			want := []string{`http_request_duration_seconds_count{code="` + tt.status + `"}`}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, tt.method, server.URL+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			maps.Copy(req.Header, tt.header)
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if got := fmt.Sprint(resp.StatusCode); got != tt.status {
				t.Errorf("answered %s, want %s", got, tt.status)
			}
			if tt.stays {
				<-open
				if diff := cmp.Diff(want, measured()); diff != "" {
					t.Errorf("measured while the connection is open, -want +got:\n%s", diff)
				}
				leave <- struct{}{}
			}
			if _, err := io.ReadAll(resp.Body); err != nil {
				t.Log(err)
			}
			<-served
			if diff := cmp.Diff(want, measured()); diff != "" {
				t.Errorf("measured, -want +got:\n%s", diff)
			}
			if s := complaints.String(); s != "" {
				t.Errorf("net/http complains: %s", s)
			}
		})
	}
}

// TestUntilConnectedPanics wants a handler's panic to pass through the middleware and to arrive at the server with its
// stack, unless the middleware recovers from it.
func TestUntilConnectedPanics(t *testing.T) {
	seen := make(chan any, 1)
	for name, tt := range map[string]struct {
		handler  http.HandlerFunc
		recovers bool
		want     any // what the middleware sees
	}{
		"plain":              {func(http.ResponseWriter, *http.Request) { boom() }, false, "boom"},
		"plain, recovered":   {func(http.ResponseWriter, *http.Request) { boom() }, true, "boom"},
		"when connected":     {func(w http.ResponseWriter, _ *http.Request) { stream(w); boom() }, false, nil},
		"ends its goroutine": {func(http.ResponseWriter, *http.Request) { runtime.Goexit() }, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := instrument.UntilConnected(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer func() {
						v := recover()
						seen <- v
						if v != nil && !tt.recovers {
							panic(v)
						}
					}()
					next.ServeHTTP(w, r)
				})
			}, tt.handler)
			var arrived any
			var stack string
			served := make(chan struct{})
			go func() {
				defer close(served)
				defer func() {
					if arrived = recover(); arrived != nil {
						buf := make([]byte, 1<<16)
						stack = string(buf[:runtime.Stack(buf, false)])
					}
				}()
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
			}()
			<-served
			if got := <-seen; got != tt.want {
				t.Errorf("the middleware sees %v, want %v", got, tt.want)
			}
			panics := name == "plain" || name == "when connected"
			if (arrived != nil) != panics {
				t.Errorf("%v arrived at the server", arrived)
			}
			if panics && !strings.Contains(stack, "instrument_test.boom") {
				t.Errorf("the handler is not on the stack:\n%s", stack)
			}
		})
	}
}

func boom() { panic("boom") }

func stream(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
}

// TestUntilConnectedHTTP2 has a page and a stream over HTTP/2, where nothing can be hijacked.
func TestUntilConnectedHTTP2(t *testing.T) {
	open, leave := make(chan struct{}), make(chan struct{})
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total"}, []string{"code"})
	server := httptest.NewUnstartedServer(instrument.UntilConnected(func(next http.Handler) http.Handler {
		return promhttp.InstrumentHandlerCounter(requests, next)
	}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := w.(http.Hijacker); ok {
			t.Error("the ResponseWriter can be hijacked")
		}
		if r.URL.Path == "/events" {
			stream(w)
			_ = http.NewResponseController(w).Flush()
			close(open)
			<-leave
		}
		_, _ = io.WriteString(w, "done")
	})))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	for _, path := range []string{"/page", "/events"} {
		resp, err := server.Client().Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if path == "/events" {
			<-open
			if got := testutil.ToFloat64(requests.WithLabelValues("200")); got != 2 {
				t.Errorf("measured %v requests while the stream is open, want 2", got)
			}
			close(leave)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != "done" || err != nil || resp.ProtoMajor != 2 {
			t.Errorf("%s: read %q, %v, by HTTP/%d", path, body, err, resp.ProtoMajor)
		}
	}
}

type colour struct{}

// TestUntilConnectedMiddlewares has middlewares pass on a context, answer themselves, and call their handler twice.
func TestUntilConnectedMiddlewares(t *testing.T) {
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, r.Context().Value(colour{})) })
	for want, serve := range map[string]func(w http.ResponseWriter, r *http.Request, next http.Handler){
		"green": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), colour{}, "green")))
		},
		"no": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { _, _ = io.WriteString(w, "no") },
		"onetwo": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), colour{}, "one")))
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), colour{}, "two")))
		},
		"foreign": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(context.Background(), colour{}, "foreign")))
		},
	} {
		t.Run(want, func(t *testing.T) {
			h := instrument.UntilConnected(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(w, r, next) })
			}, next)
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
			if got := answer.Body.String(); got != want {
				t.Errorf("answered %q, want %q", got, want)
			}
		})
	}
}

// BenchmarkRequest is a plain request over loopback, in a middleware as it is and in one that ends with the handshake.
func BenchmarkRequest(b *testing.B) {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_duration_seconds"}, []string{"code"})
	measure := func(next http.Handler) http.Handler { return promhttp.InstrumentHandlerDuration(seconds, next) }
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	for _, way := range []struct {
		name    string
		handler http.Handler
	}{{"bare", measure(hello)}, {"observed", instrument.UntilConnected(measure, hello)}} {
		b.Run(way.name, func(b *testing.B) {
			server := httptest.NewServer(way.handler)
			defer server.Close()
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			request, r := []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), bufio.NewReader(conn)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := conn.Write(request); err != nil {
					b.Fatal(err)
				}
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
			}
		})
	}
}
