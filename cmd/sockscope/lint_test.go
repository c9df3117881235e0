package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestLintExitCodes lints services as CI does.
func TestLintExitCodes(t *testing.T) {
	const good = `# TYPE websocket_client_connected gauge
websocket_client_connected{client="feed"} 1
`
	for _, tt := range []struct {
		name, page string
		flags      []string
		code       int
	}{
		{"good", good, nil, 0},
		{"a warning", good + "a{peer=\"10.0.0.1\"} 1\n", nil, 0},
		{"a warning, strictly", good + "a{peer=\"10.0.0.1\"} 1\n", []string{"--strict"}, exitFindings},
		{"errors", "a 1\n", nil, exitFindings},
		{"no page of metrics", "{}", nil, exitUnread},
		{"no address", good, []string{"ftp://chat"}, exitUnread},
		{"no transport", good, []string{"--transport=a-b"}, exitUnread},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/plain; version=0.0.4")
				_, _ = w.Write([]byte(tt.page))
			}))
			defer server.Close()
			var out bytes.Buffer
			cmd := newRootCommand()
			cmd.SetOut(&out)
			cmd.SetArgs(append([]string{"lint", "--json", server.URL}, tt.flags...))
			err := cmd.ExecuteContext(t.Context())
			var exit exitError
			if code := 0; errors.As(err, &exit) && exit.code != tt.code || err == nil && code != tt.code {
				t.Errorf("the error is %v, want the exit code %d", err, tt.code)
			}
			if out.Len() == 0 && tt.code == exitUnread {
				return // nothing was read
			}
			var document struct {
				OK      bool
				Reports []struct{ Service string }
			}
			if err := json.Unmarshal(out.Bytes(), &document); err != nil {
				t.Fatalf("%v in %s", err, out.String())
			}
			if document.OK != (tt.code == 0) || len(document.Reports) != 1 || document.Reports[0].Service != server.URL+"/metrics" {
				t.Errorf("the document is %s", out.String())
			}
		})
	}
	if err := new(lintFlags).run(newLintCommand(), nil); err == nil {
		t.Error("nothing is linted, and that is fine")
	}
}
