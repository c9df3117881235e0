package loopback

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestFrom(t *testing.T) {
	for _, tc := range []struct {
		remote, host string
		header       http.Header
		want         bool
	}{
		{"127.0.0.1:5000", "127.0.0.1:8080", nil, true},
		{"127.0.0.1:5000", "localhost:8080", nil, true},
		{"[::1]:5000", "[::1]:8080", nil, true},
		{"[::ffff:127.0.0.1]:5000", "127.0.0.1", nil, true},
		{"10.0.0.9:5000", "127.0.0.1:8080", nil, false},
		{"10.0.0.9:5000", "10.0.0.1:8080", nil, false},
		{"127.0.0.1:5000", "evil.example:8080", nil, false},
		{"127.0.0.1:5000", "localhost.evil.example", nil, false},
		{"127.0.0.1:5000", "", nil, false},
		{"", "127.0.0.1", nil, false},
		{"127.0.0.1:5000", "localhost", http.Header{"X-Forwarded-For": {"127.0.0.1"}}, true},
		{"127.0.0.1:5000", "localhost", http.Header{"X-Forwarded-For": {"127.0.0.1, ::1"}, "X-Real-Ip": {"127.0.0.1"}}, true},
		{"127.0.0.1:5000", "localhost", http.Header{"X-Forwarded-For": {"127.0.0.1, 10.0.0.9"}}, false},
		{"127.0.0.1:5000", "localhost", http.Header{"X-Forwarded-For": {"127.0.0.1", "10.0.0.9"}}, false},
		{"127.0.0.1:5000", "localhost", http.Header{"X-Forwarded-For": {"unknown"}}, false},
		{"127.0.0.1:5000", "localhost", http.Header{"X-Real-Ip": {"10.0.0.9"}}, false},
		{"127.0.0.1:5000", "localhost", http.Header{"Forwarded": {"for=127.0.0.1"}}, false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr, r.Host, r.Header = tc.remote, tc.host, tc.header
		if got := From(r); got != tc.want {
			t.Errorf("from %q to %q with %v: %t, want %t", tc.remote, tc.host, tc.header, got, tc.want)
		}
	}
}

func TestOnly(t *testing.T) {
	h := Only(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, tc := range []struct {
		remote, host string
		code         int
	}{
		{"127.0.0.1:5000", "127.0.0.1:8080", 200},
		{"10.0.0.9:5000", "127.0.0.1:8080", 403},
		{"127.0.0.1:5000", "evil.example:8080", 403},
	} {
		r := httptest.NewRequest(http.MethodGet, "/fault", nil)
		r.RemoteAddr, r.Host = tc.remote, tc.host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tc.code {
			t.Errorf("from %q to %q: %d, want %d", tc.remote, tc.host, w.Code, tc.code)
		}
	}
}
