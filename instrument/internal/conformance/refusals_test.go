package conformance_test

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
	"github.com/sockscope/sockscope/instrument/sse"
	"github.com/sockscope/sockscope/instrument/ws"
)

// A refusal is all that is exported about a request that does not become a connection.
type refusal struct {
	Status     string
	HTTPStatus int    // 0 if there is no answer
	Error      string // the kind of the error that counts
	Span       codes.Code
	Level      string // of the record
}

// A refused request is one way in which a handshake fails.
type refused struct {
	name    string
	request func(string) string // nil leaves the request as it is
	wait    bool                // until the peer is gone
	wrap    func(http.ResponseWriter) http.ResponseWriter
	// answered says that the library answers, with a status of its choice.
	answered bool
	want     refusal
}

// refusals are in the order of the documentation.
func refusals() []refused {
	return []refused{
		{
			name:     "the request is wrong",
			request:  func(r string) string { return strings.NewReplacer("Key: dG", "Key: ", "GET", "PUT").Replace(r) },
			answered: true,
			want:     refusal{"bad_handshake", 0, "handshake", codes.Unset, "INFO"},
		},
		{
			name: "the peer resets the connection before it is answered", wait: true,
			want: refusal{"bad_handshake", 0, "handshake", codes.Unset, "INFO"},
		},
		{
			name: "a wrapper of the ResponseWriter panics",
			wrap: func(w http.ResponseWriter) http.ResponseWriter { return panicking{w} },
			want: refusal{"error", 0, "handshake", codes.Error, "WARN"},
		},
	}
}

// panicking is a wrapper that asks more of what it wraps than there is.
type panicking struct{ http.ResponseWriter }

func (panicking) Hijack() (net.Conn, *bufio.ReadWriter, error) { panic("not a Hijacker") }

func (panicking) Flush() { panic("not a Flusher") }

// TestFieldCase08Refusals has requests refused in every way, by every adapter.
func TestFieldCase08Refusals(t *testing.T) {
	adapters := map[string]func(http.ResponseWriter, *http.Request, *instrument.Observer){
		"sse": func(w http.ResponseWriter, r *http.Request, o *instrument.Observer) {
			if s, err := sse.Accept(w, r, o); err == nil {
				s.Close()
				t.Error("accepted")
			}
		},
	}
	for name, serveBy := range webSockets() {
		adapters[name] = func(w http.ResponseWriter, r *http.Request, o *instrument.Observer) {
			serveBy(w, r, o, func(conn) { t.Error("accepted") })
		}
	}
	for name, serveBy := range aware() {
		adapters["handler of "+name] = func(w http.ResponseWriter, r *http.Request, o *instrument.Observer) {
			ws.Handler(o, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				serveBy(w, r, nil, func(conn) { t.Error("accepted") })
			})).ServeHTTP(w, r)
		}
	}
	for name, serveBy := range adapters {
		for _, tt := range refusals() {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				recorder := realtimetest.New(t)
				arrived := make(chan struct{})
				url, returned := serve(t, func(w http.ResponseWriter, r *http.Request) {
					close(arrived)
					if tt.wait {
						<-r.Context().Done()
					}
					if tt.wrap != nil {
						w = tt.wrap(w)
					}
					serveBy(w, r, recorder.Observer)
				})
				request := upgrade
				if tt.request != nil {
					request = tt.request(request)
				}
				p := ask(t, url, request)
				<-arrived
				if tt.wait {
					p.reset()
				}
				select {
				case <-returned:
				case <-time.After(patience):
					t.Error("the handler does not return")
				}
				wasRefused(t, recorder, p, tt)
			})
		}
	}
}

func wasRefused(t *testing.T, r *realtimetest.Recorder, p *peer, tt refused) {
	t.Helper()
	want := tt.want
	r.ExpectOnly(map[string]float64{
		`websocket_connections_total{status="` + want.Status + `"}`:                1,
		`websocket_handshake_duration_seconds_count{status="` + want.Status + `"}`: 1,
		`websocket_errors_total{kind="` + want.Error + `"}`:                        1,
	})
	record := r.Record("handshake refused")
	status, _ := record["http_status"].(float64)
	if tt.answered {
		answer, err := http.ReadResponse(p.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		want.HTTPStatus = answer.StatusCode
	}
	got := refusal{str(record["status"]), int(status), want.Error, r.Spans()[0].Status().Code, str(record["level"])}
	if got.HTTPStatus >= http.StatusInternalServerError { // a library's answer to a request that it does not understand
		want.Span = codes.Error
	}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
