package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/sockscope/sockscope/internal/check"
)

// TestCheckAsJSON checks a stack of which nothing runs but whose addresses are partly given: every step is told of,
// each address is the right one.
func TestCheckAsJSON(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := newRootCommand()
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"check", "--json", "--timeout=300ms", "--port-offset=50000", "--desk=" + nobody})
	if err := cmd.ExecuteContext(t.Context()); !errors.Is(err, check.ErrBroken) {
		t.Errorf("error is %v, want that the path is broken", err)
	}
	var document struct {
		OK    bool
		Steps []check.Result
	}
	if err := json.Unmarshal(out.Bytes(), &document); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	asked := map[string]string{}
	for _, s := range document.Steps {
		asked[s.Name] = s.URL
	}
	if document.OK || len(document.Steps) != 8 {
		t.Errorf("ok is %v with %d steps", document.OK, len(document.Steps))
	}
	if !strings.HasPrefix(asked["answer"], "http://127.0.0.1:58080/") || !strings.HasPrefix(asked["alerts"], nobody) {
		t.Errorf("asked %v, want the shifted address of the demo and the given one of the desk", asked)
	}
}
