package desk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestConsoles has the live consoles of targets in files, which come and go.
func TestConsoles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := consoles{[]string{"http://named:1/x/"}, []string{filepath.Join(dir, "*.yaml"), filepath.Join(dir, "scale", "*.yaml")}}
	check := func(problem string, want ...string) {
		t.Helper()
		got, err := c.all()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("consoles (-want +got):\n%s", diff)
		}
		if (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
			t.Errorf("the error is %v, want one about %q", err, problem)
		}
	}
	check("", "http://named:1/x/")

	write("demo.yaml", "# The demo.\n- targets: [demo:8080]\n  labels: {job: demo, __console_path__: /debug/realtime/}\n- targets: [probe:8091]\n  labels: {job: probe}\n")
	write("empty.yaml", "# none\n")
	write("not-one.txt", "- targets: [other:1]\n  labels: {__console_path__: /}\n")
	write("twice.yaml", "- targets: [demo:8080, named:1]\n  labels: {__console_path__: /debug/realtime/}\n")
	check("", "http://named:1/x/", "http://demo:8080/debug/realtime/", "http://named:1/debug/realtime/")

	if err := os.Mkdir(filepath.Join(dir, "scale"), 0o700); err != nil {
		t.Fatal(err)
	}
	write("scale/scale.yaml", `[{"targets": ["demo-1:8080", "[::1]:8080"], "labels": {"__console_path__": "/c/"}}]`)
	all := []string{"http://named:1/x/", "http://demo:8080/debug/realtime/", "http://named:1/debug/realtime/", "http://demo-1:8080/c/", "http://[::1]:8080/c/"}
	check("", all...)

	for text, problem := range map[string]string{
		"targets: {": "read the targets in", "- targets: 7\n": "broken.yaml", // not a list of targets
		"- targets: [\"demo:8080/x?\"]\n  labels: {__console_path__: /c/}\n":     "no address",
		"- targets: [\"user@demo:8080\"]\n  labels: {__console_path__: /c/}\n":   "no address",
		"- targets: [demo:8080]\n  labels: {__console_path__: c}\n":              "no address",
		"- targets: [demo:8080]\n  labels: {__console_path__: \"/c/?x=1#y\"}\n":  "no address",
		"- targets: [\"demo\\x00:80\"]\n  labels: {__console_path__: \"/c/\"}\n": "no address",
		"- targets: [" + strings.Repeat("x,", maxTargetFile) + "]":               "read the targets in",
	} {
		write("broken.yaml", text)
		check(problem, all...)
	}

	write("broken.yaml", "- targets: ["+strings.Repeat("x:1,", 10)+"]\n")
	write("many.yaml", "- labels: {__console_path__: /}\n  targets:\n"+numbered(2*maxConsoles))
	if got, err := c.all(); err != nil || len(got) != maxConsoles {
		t.Errorf("%d consoles are asked (error %v), want at most %d", len(got), err, maxConsoles)
	}
}

// numbered is a list of so many targets.
func numbered(n int) string {
	var list strings.Builder
	for i := range n {
		list.WriteString("  - host-" + strings.Repeat("x", i) + ":80\n")
	}
	return list.String()
}

// TestPatternOfTargets refuses one that matches nothing.
func TestPatternOfTargets(t *testing.T) {
	if _, err := New(Config{Targets: []string{"/targets/[.yaml"}}); err == nil || !strings.Contains(err.Error(), "[.yaml") {
		t.Errorf("a pattern that is none is told as %v", err)
	}
}
