package demo

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestPageIsClosed(t *testing.T) {
	f := start(t, Config{TraceURL: `http://127.0.0.1:8090/trace/"><script>`})
	for path, want := range map[string]string{
		"/": "text/html", "/main.js": "text/javascript", "/base.css": "text/css", "/page.css": "text/css", "/icon.svg": "image/svg",
	} {
		resp := f.get(path, "")
		if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %d %s, want %s", path, resp.StatusCode, got, want)
		}
		if policy := resp.Header.Get("Content-Security-Policy"); policy != pagePolicy {
			t.Errorf("%s has policy %q", path, policy)
		}
	}
	if _, body := f.do(http.MethodGet, "/", ""); strings.Contains(body, `"><script>`) {
		t.Error("the trace URL is not escaped")
	}
	if code, _ := f.do(http.MethodGet, "/page.go", ""); code != http.StatusNotFound {
		t.Errorf("/page.go: %d, want 404", code)
	}
}

// TestPageIsWhole follows every reference: nothing is missing, and nothing comes from elsewhere.
func TestPageIsWhole(t *testing.T) {
	f := start(t, Config{})
	reference := regexp.MustCompile(`(?:src|href|from) ?[= ]"([^"#]+)"`)
	seen := map[string]bool{}
	for todo := []string{"/"}; len(todo) > 0; todo = todo[1:] {
		if seen[todo[0]] {
			continue
		}
		seen[todo[0]] = true
		code, body := f.do(http.MethodGet, todo[0], "")
		if code != http.StatusOK {
			t.Errorf("%s: %d", todo[0], code)
		}
		for _, found := range reference.FindAllStringSubmatch(body, -1) {
			path := strings.TrimPrefix(found[1], ".")
			if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
				t.Errorf("%s refers to %s", todo[0], found[1])
				continue
			}
			todo = append(todo, path)
		}
	}
	if len(seen) < 10 {
		t.Errorf("only %v were found", seen)
	}
}

func TestPageIsNotSentTwice(t *testing.T) {
	f := start(t, Config{})
	other := start(t, Config{TraceURL: "http://127.0.0.1:8090/trace/"})
	for _, path := range []string{"/", "/main.js"} {
		version := f.get(path, "").Header.Get("ETag")
		if resp := f.get(path, version); resp.StatusCode != http.StatusNotModified {
			t.Errorf("%s again: %d, want 304", path, resp.StatusCode)
		}
		if resp := f.get(path, `"another"`); resp.StatusCode != http.StatusOK {
			t.Errorf("%s after a change: %d, want 200", path, resp.StatusCode)
		}
		if path == "/" && other.get(path, version).StatusCode != http.StatusOK {
			t.Error("the page with another trace URL counts as the same")
		}
	}
}

// get gets a file of which the caller has the version that etag names.
func (f *fixture) get(path, etag string) *http.Response {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.http.URL+path, http.NoBody)
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("If-None-Match", etag)
	resp, err := f.http.Client().Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp
}
