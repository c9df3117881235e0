package browser_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/instrument/browser"
	"github.com/sockscope/sockscope/instrument/internal/version"
)

// TestModule has Node run the tests of the module, against a server of this process.
func TestModule(t *testing.T) {
	node, named := os.LookupEnv("NODE")
	if !named {
		node = "node"
	}
	// Some versions have both behind flags, and later ones still know the flags.
	flags := []string{"--experimental-websocket", "--experimental-eventsource"}
	if out, err := exec.CommandContext(t.Context(), node, append(slices.Clone(flags), "-e", "WebSocket && EventSource")...).CombinedOutput(); err != nil {
		t.Skipf("there is no Node with WebSocket and EventSource, in which the module is tested: make test installs it: %v\n%s", err, out)
	}
	tests, err := filepath.Glob("testdata/*.test.js")
	if err != nil || len(tests) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	s := newServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // on a busy machine
	defer cancel()
	cmd := exec.CommandContext(ctx, node, append(append(flags, "--no-warnings", "--test", "--test-reporter=tap", "--test-concurrency=2"), tests...)...)
	cmd.Env = append(os.Environ(), "SERVER="+s.URL, "SCRATCH="+t.TempDir(), "EXAMPLE="+example(t))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	passed := regexp.MustCompile(`(?m)^# pass (\d+)$`).FindSubmatch(out)
	if passed == nil || string(passed[1]) == "0" {
		t.Errorf("no test has passed:\n%s", out)
	}
}

// example returns the guide's example, which is short.
func example(t *testing.T) string {
	t.Helper()
	guide, err := os.ReadFile("../../docs/browser.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(guide), "```js\n")
	code, _, closed := strings.Cut(rest, "```\n")
	if lines := strings.Count(code, "\n"); !found || !closed || lines > 30 {
		t.Fatalf("the guide's example has %d lines, want 30 at most", lines)
	}
	return code
}

// TestFiles holds the files to each other: what is imported is served, and what is served is published by npm.
func TestFiles(t *testing.T) {
	imported := map[string]bool{"index.js": true}
	reference := regexp.MustCompile(`from "\./([^"]+)"`)
	served, err := fs.Glob(browser.Files(), "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range served {
		text, err := fs.ReadFile(browser.Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range reference.FindAllSubmatch(text, -1) {
			imported[string(found[1])] = true
		}
		if strings.Contains(string(text), "@latest") || regexp.MustCompile(`from "[^.]`).Match(text) {
			t.Errorf("%s imports something from elsewhere", name)
		}
	}
	for _, name := range served {
		if !imported[name] {
			t.Errorf("%s is served, but nothing imports it", name)
		}
		delete(imported, name)
	}
	for name := range imported {
		t.Errorf("%s is imported, but not served", name)
	}
}

// TestPackage holds the package of npm to the release.
func TestPackage(t *testing.T) {
	text, err := os.ReadFile("package.json")
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		Version, License, Type string
		Files                  []string
		Dependencies           map[string]string
	}
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	if p.Version != version.Number || p.License != "Apache-2.0" || p.Type != "module" || len(p.Dependencies) > 0 {
		t.Errorf("package.json is of %+v, want version %s", p, version.Number)
	}
	if diff := cmp.Diff([]string{"*.js", "index.d.ts"}, p.Files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	tracing, err := os.ReadFile("tracing.js")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(tracing), `version: "`+version.Number+`"`) {
		t.Errorf("tracing.js does not name the version %s", version.Number)
	}
}

func TestHeaders(t *testing.T) {
	const context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, tt := range []struct {
		name, url string
		header    http.Header
		want      http.Header
		query     string
	}{
		{"nothing", "/ws", http.Header{}, http.Header{}, ""},
		{"another parameter", "/ws?b=2&a=1", http.Header{}, http.Header{}, "b=2&a=1"},
		{"all", "/ws?a=1&traceparent=" + context + "&tracestate=x%3D1&last-event-id=17", http.Header{},
			http.Header{"Traceparent": {context}, "Tracestate": {"x=1"}, "Last-Event-Id": {"17"}}, "a=1"},
		{"the header wins", "/ws?last-event-id=17", http.Header{"Last-Event-Id": {"18"}}, http.Header{"Last-Event-Id": {"18"}}, ""},
		{"a line break", "/ws?last-event-id=17%0d%0aCookie:x", http.Header{}, http.Header{}, ""},
		{"malformed", "/ws?traceparent=%zz&a=1", http.Header{}, http.Header{}, "traceparent=%zz&a=1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, tt.url, http.NoBody)
			r.Header = tt.header.Clone()
			before := r.URL.String()
			var got *http.Request
			browser.Headers(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r })).ServeHTTP(httptest.NewRecorder(), r)
			if diff := cmp.Diff(tt.want, got.Header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			if got.URL.RawQuery != tt.query {
				t.Errorf("the query is %q, want %q", got.URL.RawQuery, tt.query)
			}
			if diff := cmp.Diff(tt.header, r.Header); diff != "" || r.URL.String() != before {
				t.Errorf("the caller's request has changed to %s\n%s", r.URL, diff)
			}
		})
	}
}
