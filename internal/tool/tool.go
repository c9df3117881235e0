// Package tool finds the programs that tests of the stack's settings run.
package tool

import (
	"cmp"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Path returns the path of a program that the environment names (AMTOOL for amtool, VICTORIALOGS for victoria-logs) or
// that is on PATH. Without the program the test fails, so that unchecked settings do not look checked.
func Path(t testing.TB, name string) string {
	t.Helper()
	path, err := find(name)
	if err != nil {
		t.Fatalf("find %s: %v; `make test` and `make check` build it, otherwise install it or name it in %s", name, err, variable(name))
	}
	return path
}

// Installed is like Path, for a program that we don't build. Without the program it logs that the rest of the test was
// not run, and returns false.
func Installed(t testing.TB, name string) (string, bool) {
	t.Helper()
	path, err := find(name)
	if err != nil {
		t.Logf("NOT TRIED with %s itself: there is none on PATH or in %s", name, variable(name))
	}
	return path, err == nil
}

func find(name string) (string, error) {
	return exec.LookPath(cmp.Or(os.Getenv(variable(name)), name))
}

func variable(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "-", "")) }
