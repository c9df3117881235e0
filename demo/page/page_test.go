package page

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
)

func TestPageIsClosed(t *testing.T) {
	f := serve(t, `http://127.0.0.1:8090/trace/"><script>`)
	for path, want := range map[string]string{
		"/": "text/html", "/main.js": "text/javascript", "/instrument/index.js": "text/javascript", "/base.css": "text/css", "/page.css": "text/css", "/icon.svg": "image/svg",
	} {
		resp := f.get(path, "")
		if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %d %s, want %s", path, resp.StatusCode, got, want)
		}
		if policy := resp.Header.Get("Content-Security-Policy"); policy != Policy {
			t.Errorf("%s has policy %q", path, policy)
		}
	}
	if _, body := f.do("/", ""); strings.Contains(body, `"><script>`) {
		t.Error("the trace URL is not escaped")
	}
	for _, path := range []string{"/page.go", "/frame.html", "/instrument/browser.go", "/instrument/package.json"} {
		if resp := f.get(path, ""); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", path, resp.StatusCode)
		}
	}
}

// TestPolicyNamesTheCollector lets the page send spans to one origin more, and to no other.
func TestPolicyNamesTheCollector(t *testing.T) {
	f := serveConfig(t, Config{SpansURL: "https://collector.example:4318/v1/traces"})
	policy := f.get("/", "").Header.Get("Content-Security-Policy")
	if want := strings.Replace(Policy, "connect-src 'self';", "connect-src 'self' https://collector.example:4318;", 1); policy != want {
		t.Errorf("the policy is %q, want %q", policy, want)
	}
	if _, body := f.do("/", ""); !strings.Contains(body, `data-spans-url="https://collector.example:4318/v1/traces"`) {
		t.Error("the page is not told where spans go")
	}
	for _, bad := range []string{"collector", "ftp://collector/", "http://", "http://a;script-src/*", "http://a b/", "http://a,b/", "://"} {
		if _, err := Handler(Config{SpansURL: bad}); err == nil {
			t.Errorf("spans may go to %q", bad)
		}
	}
}

// TestPageIsWhole follows every reference: nothing is missing, and nothing comes from elsewhere.
func TestPageIsWhole(t *testing.T) {
	f := serve(t, "")
	reference := regexp.MustCompile(`(?:src|href|from) ?[= ]"([^"#]+)"`)
	seen := map[string]bool{}
	for todo := []string{"/"}; len(todo) > 0; todo = todo[1:] {
		if seen[todo[0]] {
			continue
		}
		seen[todo[0]] = true
		resp, body := f.do(todo[0], "")
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", todo[0], resp.StatusCode)
		}
		for _, found := range reference.FindAllStringSubmatch(body, -1) {
			to, relative := strings.CutPrefix(found[1], ".")
			if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") {
				t.Errorf("%s refers to %s", todo[0], found[1])
				continue
			}
			if relative {
				to = path.Join(path.Dir(todo[0]), to)
			}
			todo = append(todo, to)
		}
	}
	if len(seen) < 10 {
		t.Errorf("only %v were found", seen)
	}
}

func TestPageIsNotSentTwice(t *testing.T) {
	f := serve(t, "")
	other := serve(t, "http://127.0.0.1:8090/trace/")
	for _, path := range []string{"/", "/game/", "/main.js"} {
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

// served is a page on a server of its own.
type served struct {
	t    *testing.T
	http *httptest.Server
}

func serve(t *testing.T, traceURL string) *served {
	t.Helper()
	return serveConfig(t, Config{TraceURL: traceURL})
}

func serveConfig(t *testing.T, cfg Config) *served {
	t.Helper()
	h, err := Handler(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &served{t, httptest.NewServer(h)}
	t.Cleanup(s.http.Close)
	return s
}

// get gets a file of which the caller has the version that etag names.
func (s *served) get(path, etag string) *http.Response {
	resp, _ := s.do(path, etag)
	return resp
}

func (s *served) do(path, etag string) (*http.Response, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.http.URL+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("If-None-Match", etag)
	resp, err := s.http.Client().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		s.t.Fatal(err)
	}
	return resp, string(body)
}
