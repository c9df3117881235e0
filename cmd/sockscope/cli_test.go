package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write docs/cli.md")

// TestCommandsPage compares docs/cli.md with the --help of all commands.
func TestCommandsPage(t *testing.T) {
	const path = "../../docs/cli.md"
	var page bytes.Buffer
	page.WriteString("# Commands\n\nFor users of the program `sockscope`. " +
		"Generated from `--help` by `go test ./cmd/sockscope -run TestCommandsPage -update`; the test compares.\n\n")
	commands := all(newRootCommand())
	for _, c := range commands {
		if !c.HasAvailableSubCommands() {
			fmt.Fprintf(&page, "- [`%s`](#%s): %s\n", c.CommandPath(), strings.ReplaceAll(c.CommandPath(), " ", "-"), c.Short)
		}
	}
	for _, c := range commands {
		if !c.HasAvailableSubCommands() {
			fmt.Fprintf(&page, "\n## %s\n\n```text\n%s```\n", c.CommandPath(), help(t, c))
		}
	}
	if *update {
		if err := os.WriteFile(path, page.Bytes(), 0o644); err != nil { //nolint:gosec // everybody may read it
			t.Fatal(err)
		}
		return
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(written), page.String()); diff != "" {
		t.Errorf("run the test with -update (-page +commands):\n%s", diff)
	}
}

// all returns a command and those below it.
func all(c *cobra.Command) []*cobra.Command {
	found := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		found = append(found, all(sub)...)
	}
	return found
}

// help returns the text that a command prints for --help.
func help(t *testing.T, c *cobra.Command) string {
	t.Helper()
	var out bytes.Buffer
	c.SetOut(&out)
	if err := c.Help(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
