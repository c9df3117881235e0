package instrument_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// maxLinked is how many modules a program gets from this one, itself counted.
const maxLinked = 20

// TestDependencies makes a program that imports only the core, and one for each part of this module, and wants nothing
// but client_golang, the OpenTelemetry API and the transport built into them, and no server, SDK of a cloud or client
// of a backend in their module graphs.
func TestDependencies(t *testing.T) {
	const module = "github.com/sockscope/sockscope/instrument"
	core := []string{
		"github.com/beorn7/perks", "github.com/cespare/xxhash/v2", "github.com/munnerz/goautoneg",
		"github.com/prometheus/client_golang", "github.com/prometheus/client_model", "github.com/prometheus/common",
		"github.com/prometheus/procfs", "golang.org/x/sys", "google.golang.org/protobuf", // client_golang and its own
		"github.com/go-logr/logr", "github.com/go-logr/stdr", "go.opentelemetry.io/auto/sdk",
		"go.opentelemetry.io/otel", "go.opentelemetry.io/otel/log", "go.opentelemetry.io/otel/metric", "go.opentelemetry.io/otel/trace", // the API
		module,
	}
	for name, tt := range map[string]struct{ imports, transport []string }{
		"core":    {imports: []string{""}},
		"coder":   {[]string{"/ws/coder"}, []string{"github.com/coder/websocket"}},
		"gorilla": {[]string{"/ws/gorilla"}, []string{"github.com/gorilla/websocket"}},
		"gobwas":  {[]string{"/ws/gobwas"}, []string{"github.com/gobwas/ws", "github.com/gobwas/httphead", "github.com/gobwas/pool"}},
		"sse":     {imports: []string{"/sse"}},
		"client":  {[]string{"/client", "/carrier"}, []string{"github.com/coder/websocket"}},
		"console": {[]string{"/console"}, []string{"go.opentelemetry.io/otel/sdk", "github.com/google/uuid"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			program := "package main\n\n"
			for _, path := range tt.imports {
				program += "import _ \"" + module + path + "\"\n"
			}
			write(t, filepath.Join(dir, "main.go"), program+"\nfunc main() {}\n")
			write(t, filepath.Join(dir, "go.mod"), "module example.com/tiny\n\ngo 1.26\n\nreplace "+module+" => "+abs(t, ".")+"\n")
			run(t, dir, "mod", "tidy")

			linked := strings.Fields(run(t, dir, "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "."))
			slices.Sort(linked)
			linked = slices.DeleteFunc(slices.Compact(linked), func(m string) bool { return m == "example.com/tiny" })
			if len(linked) > maxLinked {
				t.Errorf("%d modules are built in, more than %d", len(linked), maxLinked)
			}
			allowed := slices.Concat(core, tt.transport)
			more := slices.DeleteFunc(slices.Clone(linked), func(m string) bool { return slices.Contains(allowed, m) })
			if diff := cmp.Diff([]string{}, more); diff != "" {
				t.Errorf("built in beside what is allowed:\n%s", diff)
			}
			graph := run(t, dir, "list", "-m", "all")
			for _, heavy := range []string{
				"github.com/prometheus/prometheus ", "loki", "aws", "cloud.google.com", "azure", "google.golang.org/grpc ", "redis",
			} {
				if strings.Contains(strings.ToLower(graph), heavy) {
					t.Errorf("the module graph has %s:\n%s", heavy, graph)
				}
			}
		})
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
