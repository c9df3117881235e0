package auth

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDevHandler(t *testing.T) {
	a := authority(t, testKey)
	server := httptest.NewServer(a.DevHandler())
	defer server.Close()
	for name, tc := range map[string]struct {
		body string
		want Identity
		in   time.Duration
	}{
		"user":       {`{"user":"ann"}`, Identity{User: "ann"}, time.Hour},
		"everything": {`{"user":"ann","rooms":["lobby","private.*"],"lifetime":"90s"}`, Identity{User: "ann", Rooms: []string{"lobby", "private.*"}}, 90 * time.Second},
	} {
		before := time.Now().Truncate(time.Second)
		resp, err := http.Post(server.URL, "application/json; charset=utf-8", strings.NewReader(tc.body))
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Token   string
			Expires time.Time
		}
		err = json.NewDecoder(resp.Body).Decode(&got)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s: %s, %v, %v", name, resp.Status, resp.Header, err)
		}
		identity, err := a.Verify(got.Token)
		if err != nil {
			t.Fatal(err)
		}
		tc.want.ID, tc.want.Expires = identity.ID, got.Expires
		if diff := cmp.Diff(tc.want, identity); diff != "" {
			t.Errorf("%s: identity (-want +got):\n%s", name, diff)
		}
		if got.Expires.Before(before.Add(tc.in)) || got.Expires.After(time.Now().Add(tc.in)) {
			t.Errorf("%s: expires at %v, asked at %v for %v", name, got.Expires, before, tc.in)
		}
	}
}

func TestDevHandlerRefuses(t *testing.T) {
	a := authority(t, testKey)
	good := `{"user":"ann"}`
	for name, tc := range map[string]struct {
		method, remote, host, media, body string
		want                              int
	}{
		"good":                {"POST", "127.0.0.1:5000", "localhost:8080", "application/json", good, 200},
		"GET":                 {"GET", "127.0.0.1:5000", "localhost", "application/json", "", 405},
		"form":                {"POST", "127.0.0.1:5000", "localhost", "application/x-www-form-urlencoded", good, 415},
		"text":                {"POST", "127.0.0.1:5000", "localhost", "text/plain", good, 415},
		"no type":             {"POST", "127.0.0.1:5000", "localhost", "", good, 415},
		"two types":           {"POST", "127.0.0.1:5000", "localhost", "text/plain, application/json", good, 415},
		"nothing":             {"POST", "127.0.0.1:5000", "localhost", "application/json", "", 400},
		"no JSON":             {"POST", "127.0.0.1:5000", "localhost", "application/json", "ann", 400},
		"unknown field":       {"POST", "127.0.0.1:5000", "localhost", "application/json", `{"user":"ann","admin":true}`, 400},
		"more behind":         {"POST", "127.0.0.1:5000", "localhost", "application/json", good + good, 400},
		"too large":           {"POST", "127.0.0.1:5000", "localhost", "application/json", strings.Repeat(" ", 5<<10) + good, 400},
		"no user":             {"POST", "127.0.0.1:5000", "localhost", "application/json", `{}`, 400},
		"bad room":            {"POST", "127.0.0.1:5000", "localhost", "application/json", `{"user":"ann","rooms":["**"]}`, 400},
		"bad lifetime":        {"POST", "127.0.0.1:5000", "localhost", "application/json", `{"user":"ann","lifetime":"soon"}`, 400},
		"lifetime too long":   {"POST", "127.0.0.1:5000", "localhost", "application/json", `{"user":"ann","lifetime":"25h"}`, 400},
		"lifetime is past":    {"POST", "127.0.0.1:5000", "localhost", "application/json", `{"user":"ann","lifetime":"-1h"}`, 400},
		"lifetime is a digit": {"POST", "127.0.0.1:5000", "localhost", "application/json", `{"user":"ann","lifetime":5}`, 400},
	} {
		r := httptest.NewRequest(tc.method, "/dev/token", strings.NewReader(tc.body))
		r.RemoteAddr, r.Host = tc.remote, tc.host
		r.Header.Set("Content-Type", tc.media)
		w := httptest.NewRecorder()
		a.DevHandler().ServeHTTP(w, r)
		if allow := w.Header().Get("Allow"); (allow == "POST") != (tc.want == 405) {
			t.Errorf("%s: methods allowed are %q", name, allow)
		}
		var body map[string]any
		err := json.Unmarshal(w.Body.Bytes(), &body)
		if w.Code != tc.want || err != nil || (body["error"] == nil) != (tc.want == 200) {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, tc.want)
		}
	}
}
