//go:build e2e && unix

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sockscope/sockscope/deploy"
	"github.com/sockscope/sockscope/internal/bundle"
	"github.com/sockscope/sockscope/internal/component"
)

// TestBundle starts the stack where there is no Go, no network to get modules from, and nothing in the home directory.
func TestBundle(t *testing.T) {
	binary := program(t)
	archive := makeBundle(t, binary)
	offset := freeOffset(t, 3000)
	home := t.TempDir()
	t.Setenv("PATH", t.TempDir())
	t.Setenv("GOPROXY", "off")
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", "")

	begin := time.Now()
	start(t, binary, offset, t.TempDir(), "--bundle="+archive).stop(t)
	t.Logf("proven %.1f s after the start from a bundle of %d MB", time.Since(begin).Seconds(), size(t, archive)>>20)

	// The unpacked bundle is kept.
	if err := os.Remove(archive); err != nil {
		t.Fatal(err)
	}
	begin = time.Now()
	start(t, binary, offset, t.TempDir()).stop(t)
	t.Logf("proven %.1f s after the second start", time.Since(begin).Seconds())

	var kept int64
	paths, err := filepath.Glob(filepath.Join(home, ".cache", "sockscope", "bin", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		kept += size(t, path)
	}
	if kept == 0 || kept > 260<<20 {
		t.Errorf("%d MB of binaries are kept, want at most 260", kept>>20)
	}
}

// makeBundle does as `make dist`, without the licences.
func makeBundle(t *testing.T, binary string) string {
	t.Helper()
	build := exec.Command(binary, "build")
	build.Stderr = os.Stderr
	out, err := build.Output()
	if err != nil {
		t.Fatalf("build the components: %v", err)
	}
	paths := strings.Fields(string(out))
	services := component.Services()
	binaries := make(map[string]string)
	for i, c := range services {
		binaries[c.Name] = paths[i]
	}
	dir := t.TempDir()
	if err := bundle.Stage(t.Context(), dir, &component.Store{Deploy: deploy.Files()}, services, binaries); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "sockscope.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := bundle.Archive(file, os.DirFS(dir), "sockscope"); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
