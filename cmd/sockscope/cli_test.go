package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write docs/cli.md and docs/cli")

// TestCommandsPages compares docs/cli.md and the pages in docs/cli with the --help of all commands.
func TestCommandsPages(t *testing.T) {
	want := commandsPages(t)
	const docs = "../../docs"
	if *update {
		if err := os.RemoveAll(filepath.Join(docs, "cli")); err != nil {
			t.Fatal(err)
		}
		for path, page := range want {
			file := filepath.Join(docs, path)
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(page), 0o644)); err != nil { //nolint:gosec // everybody may read it
				t.Fatal(err)
			}
		}
		return
	}
	written := map[string]string{}
	files, err := filepath.Glob(filepath.Join(docs, "cli", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, filepath.Join(docs, "cli.md")) {
		page, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		written[filepath.ToSlash(strings.TrimPrefix(file, filepath.Clean(docs)+string(filepath.Separator)))] = string(page)
	}
	if diff := cmp.Diff(written, want); diff != "" {
		t.Errorf("run the test with -update (-pages +commands):\n%s", diff)
	}
}

// commandsPages returns the pages by their paths within docs: a list of the commands, and a page for each.
func commandsPages(t *testing.T) map[string]string {
	t.Helper()
	const head = "Generated from `--help` by `go test ./cmd/sockscope -run TestCommandsPages -update`; the test compares.\n\n"
	pages := map[string]string{}
	list := "# Commands\n\nFor users of the program `sockscope`. " + head
	for _, c := range all(newRootCommand()) {
		if c.HasAvailableSubCommands() {
			continue
		}
		page := "cli/" + strings.ReplaceAll(strings.TrimPrefix(c.CommandPath(), "sockscope "), " ", "-") + ".md"
		list += fmt.Sprintf("- [`%s`](%s): %s\n", c.CommandPath(), page, c.Short)
		pages[page] = fmt.Sprintf("# %s\n\nFor users of the [program](../cli.md). %s```text\n%s```\n", c.CommandPath(), head, help(t, c))
	}
	pages["cli.md"] = list
	return pages
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
