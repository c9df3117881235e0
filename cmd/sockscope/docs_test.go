package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

const repository = "../.."

var (
	shellBlock = regexp.MustCompile("(?ms)^ *```sh(?: +not tested: ([^\n]+))?\n(.*?)^ *```$")
	separator  = regexp.MustCompile(` (?:&&|\||;) `)
	assignment = regexp.MustCompile(`^[A-Z_]+=\S*$`)
	makeTarget = regexp.MustCompile(`(?m)^([a-z-]+):`)
)

// TestDocumentedCommands checks the commands in the pages' blocks of shell and in the examples of --help: that
// sockscope has the command and takes its flags and arguments, that make has the target, and that the go command's
// package is there. A block with any other command says after "sh" why it is not tested, as in "sh not tested: needs a
// cluster".
func TestDocumentedCommands(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/runbooks/*.md"} {
		found, err := filepath.Glob(filepath.Join(repository, pattern))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	checked := 0
	for _, page := range pages {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range shellBlock.FindAllStringSubmatch(string(content), -1) {
			checked += checkCommands(t, page, block[2], block[1])
		}
	}
	for _, c := range all(newRootCommand()) {
		checked += checkCommands(t, c.CommandPath()+" --help", c.Example, "the examples pipe results into other programs")
	}
	if checked == 0 {
		t.Error("no page has a command")
	}
}

// checkCommands checks the commands of a script and returns how many it could. The reason is why it can't check others.
func checkCommands(t *testing.T, source, script, reason string) (checked int) {
	t.Helper()
	dir := repository
	for line := range strings.Lines(strings.ReplaceAll(script, "\\\n", "")) {
		for _, command := range separator.Split(line, -1) {
			words := wordsOf(command)
			for len(words) > 0 && assignment.MatchString(words[0]) {
				words = words[1:]
			}
			if len(words) == 0 || words[0] == "export" {
				continue
			}
			if words[0] == "cd" {
				if to := filepath.Join(dir, words[1]); reason == "" || isDir(to) { // the rest may be in a clone
					dir = to
				}
			}
			ok, err := checkCommand(dir, words)
			switch {
			case err != nil:
				t.Errorf("%s: %s: %v", source, strings.Join(words, " "), err)
			case ok:
				checked++
			case reason == "":
				t.Errorf("%s: no test knows %s: write after ```sh why not, as in \"not tested: needs a cluster\"", source, words[0])
			}
		}
	}
	return checked
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// checkCommand says whether it knows the command, and what is wrong with it.
func checkCommand(dir string, words []string) (known bool, err error) {
	switch {
	case words[0] == "cd":
		_, err := os.Stat(dir)
		return true, err
	case words[0] == "sockscope", words[0] == "./sockscope":
		return true, accepts(newRootCommand(), words[1:])
	case len(words) > 2 && words[0] == "go" && words[1] == "run" && words[2] == "./cmd/sockscope":
		return true, accepts(newRootCommand(), words[3:])
	case words[0] == "go" && (words[1] == "run" || words[1] == "test"):
		i := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "./") })
		if i < 0 {
			return true, errors.New("it names no package")
		}
		_, err := os.Stat(filepath.Join(dir, words[i]))
		return true, err
	case words[0] == "make":
		makefile, err := os.ReadFile(filepath.Join(repository, "Makefile"))
		if err != nil {
			return true, err
		}
		for _, m := range makeTarget.FindAllStringSubmatch(string(makefile), -1) {
			if m[1] == words[1] {
				return true, nil
			}
		}
		return true, fmt.Errorf("make has no target %s", words[1])
	}
	return false, nil
}

// accepts parses arguments as if the program was called with them, and does not run the command.
func accepts(root *cobra.Command, args []string) error {
	c, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	return c.ValidateArgs(c.Flags().Args())
}

// wordsOf splits a command into words, up to a comment. Quotes keep words together.
func wordsOf(command string) (words []string) {
	var quote rune
	var word strings.Builder
	inWord := false
	for _, r := range command {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, inWord = r, true
		case quote == 0 && !inWord && r == '#':
			return words
		case quote == 0 && (r == ' ' || r == '\n' || r == '\t'):
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words
}
