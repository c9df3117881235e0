package loki_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBuildsAlone makes a module that imports this package and builds it: loki-client-go's module graph has old
// versions that newer modules collide with.
func TestBuildsAlone(t *testing.T) {
	const module = "github.com/sockscope/sockscope/instrument"
	for name, packages := range map[string][]string{
		"alone":                     {"loki"},
		"with instrument/telemetry": {"loki", "telemetry"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			program, mod := "package main\n\n", "module example.com/tiny\n\ngo 1.26\n\nreplace "+module+" => "+abs(t, "..")+"\n"
			for _, p := range packages {
				program += "import _ \"" + module + "/" + p + "\"\n"
			}
			for _, p := range []string{"loki", "telemetry"} {
				mod += "replace " + module + "/" + p + " => " + abs(t, filepath.Join("..", p)) + "\n"
			}
			write(t, filepath.Join(dir, "main.go"), program+"\nfunc main() {}\n")
			write(t, filepath.Join(dir, "go.mod"), mod)
			run(t, dir, "mod", "tidy")
			run(t, dir, "build", "-o", filepath.Join(dir, "tiny"), ".")
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

func run(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
