package telemetry_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// maxLinked is how many modules a program may get by importing this package, this one and instrument included.
const maxLinked = 60

// TestDependencies makes a module that imports only this package, and wants few modules built into it, and neither
// Prometheus' server nor a client of Loki in its module graph.
func TestDependencies(t *testing.T) {
	const module = "github.com/sockscope/sockscope/instrument"
	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.go"), "package main\n\nimport _ \""+module+"/telemetry\"\n\nfunc main() {}\n")
	write(t, filepath.Join(dir, "go.mod"), "module example.com/tiny\n\ngo 1.26\n\n"+
		"replace "+module+" => "+abs(t, "..")+"\nreplace "+module+"/telemetry => "+abs(t, ".")+"\n")
	run(t, dir, "mod", "tidy")

	linked := strings.Fields(run(t, dir, "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "."))
	slices.Sort(linked)
	linked = slices.DeleteFunc(slices.Compact(linked), func(m string) bool { return m == "example.com/tiny" })
	if len(linked) > maxLinked {
		t.Errorf("%d modules are built in, want %d at most:\n%s", len(linked), maxLinked, strings.Join(linked, "\n"))
	}
	t.Logf("%d modules are built in", len(linked))
	graph := run(t, dir, "list", "-m", "all")
	for _, heavy := range []string{"github.com/prometheus/prometheus ", "loki", "go-kit"} {
		if strings.Contains(strings.ToLower(graph), heavy) {
			t.Errorf("the module graph has %s:\n%s", heavy, graph)
		}
	}
}

func abs(t *testing.T, path string) string {
	t.Helper()
	p, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}
