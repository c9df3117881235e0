// Package tool finds the programs that tests of the stack's settings run.
package tool

import (
	"cmp"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Path returns the path of a program that the environment names (AMTOOL for
// amtool, VICTORIALOGS for victoria-logs) or that is on PATH. Without it the test
// fails: settings that nobody has checked must not look as if somebody had.
func Path(t testing.TB, name string) string {
	t.Helper()
	path, err := find(name)
	if err != nil {
		t.Fatalf("find %s: %v; `make test` and `make check` build it, otherwise install it or name it in %s", name, err, variable(name))
	}
	return path
}

// Installed returns what Path does, of a program that is not built by us. Without
// it, it says in the test's log that what follows was not tried, and reports false.
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
