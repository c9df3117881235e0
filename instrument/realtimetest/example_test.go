package realtimetest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/realtimetest"
)

// handler is the service under test: who has no token is refused.
func handler(o *instrument.Observer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, handshake := o.BeginHandshake(r.Context(), instrument.HTTPRequest(r))
		http.Error(w, "who are you?", http.StatusUnauthorized)
		handshake.Refused(instrument.StatusUnauthorized, http.StatusUnauthorized, nil)
	})
}

// printing stands for the *testing.T of a test.
type printing struct{ testing.TB }

func (printing) Helper() {}

func (printing) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func (printing) Fatal(args ...any) { fmt.Println(args...) }

// A test of a service: exactly one refusal is counted and logged, and nothing else.
func Example() {
	t := printing{} // the *testing.T of the test

	r := realtimetest.New(t)
	server := httptest.NewServer(handler(r.Observer))
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()

	r.ExpectOnly(map[string]float64{
		`websocket_connections_total{status="unauthorized"}`:                1,
		`websocket_handshake_duration_seconds_count{status="unauthorized"}`: 1,
		`websocket_errors_total{kind="auth"}`:                               1,
	})
	fmt.Println(r.Record("handshake refused")["status"])
	// Output: unauthorized
}
