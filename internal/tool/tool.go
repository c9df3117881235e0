// Package tool finds the programs that tests of the stack's settings run.
package tool

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Path returns the path of a program that the environment names (AMTOOL for
// amtool) or that is on PATH. Without it the test fails: settings that nobody
// has checked must not look as if somebody had.
func Path(t testing.TB, name string) string {
	t.Helper()
	variable := strings.ToUpper(name)
	program := os.Getenv(variable)
	if program == "" {
		program = name
	}
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("find %s: %v; `make test` and `make check` build it, otherwise install it or name it in %s", name, err, variable)
	}
	return path
}
