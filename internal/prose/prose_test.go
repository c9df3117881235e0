package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWrap(t *testing.T) {
	for _, tt := range []struct{ name, source, want string }{
		{"short lines are joined", "// A is\n// short.\n", "// A is short.\n"},
		{"paragraphs stay apart", "// A.\n//\n// B\n// c.\n", "// A.\n//\n// B c.\n"},
		{"lists stay", "// A:\n//   - one\n//     more\n//   - two\n", "// A:\n//   - one\n//     more\n//   - two\n"},
		{"plain lists stay", "// - one\n// 1. two\n", "// - one\n// 1. two\n"},
		{"headings stay", "// # Use\n//\n// It is\n// so.\n", "// # Use\n//\n// It is so.\n"},
		{"code stays", "// Use\n//\n//\tf(\n//\t)\n", "// Use\n//\n//\tf(\n//\t)\n"},
		{"columns stay", "// a   1\n// bcd 2\n", "// a   1\n// bcd 2\n"},
		{"directives stay", "//go:build linux\n\n// It\n// is.\n//\n//nolint:all // why\n", "//go:build linux\n\n// It is.\n//\n//nolint:all // why\n"},
		{"a long word stays whole", "// " + strings.Repeat("x", 130) + "\n", "// " + strings.Repeat("x", 130) + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if strings.HasPrefix(tt.source, "//go:build") {
				tt.source += "\n"
				tt.want += "\n"
			}
			_, got, err := checkGo("a.go", []byte(tt.source+"package a\n"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want+"package a\n", string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWrapFills(t *testing.T) {
	words := strings.Repeat("words of several lengths go on, ", 40)
	for _, indent := range []string{"", "\t", "\t\t"} {
		lines := wrapGroup(indent, []string{indent + "// " + words})
		if len(lines) < 10 {
			t.Fatalf("%d lines", len(lines))
		}
		var joined []string
		for i, line := range lines {
			text := strings.Fields(strings.TrimPrefix(line, indent+"//"))
			if i > 0 && columns(lines[i-1])+1+len(text[0]) <= width {
				t.Errorf("%q would fit into line %d", text[0], i)
			}
			if n := columns(line); n > width {
				t.Errorf("line %d has %d columns", i+1, n)
			}
			joined = append(joined, text...)
		}
		if got := strings.Join(joined, " ") + " "; got != words {
			t.Errorf("the words are %q", got)
		}
	}
}

// columns is how wide a line is.
func columns(line string) int { return len(line) + (tabWidth-1)*strings.Count(line, "\t") }

func TestWrapIndented(t *testing.T) {
	const source = "package a\n\nfunc f() {\n\t// It is\n\t// so.\n\tf() // and this\n\t// Output:\n\t// a\n\t// b\n}\n"
	const want = "package a\n\nfunc f() {\n\t// It is so.\n\tf() // and this\n\t// Output:\n\t// a\n\t// b\n}\n"
	_, got, err := checkGo("a.go", []byte(source))
	if err != nil || string(got) != want {
		t.Errorf("%v, %s", err, cmp.Diff(want, string(got)))
	}
	if _, _, err := checkGo("a.go", []byte("package")); err == nil {
		t.Error("what is not Go has no comments")
	}
}

func TestWords(t *testing.T) {
	for text, found := range map[string]bool{
		"Who is gone is forgotten.":                    true,
		"What it knows already it does not get.":       true,
		"They are full; who comes is refused.":         true,
		"It closes in order to end.":                   true,
		"Callers shall not wait.":                      true,
		"Tell whoever asks.":                           true,
		"If one wants it, set it.":                     true,
		"Who is it?":                                   false,
		"What it costs:":                               false,
		"It tells who is in the room.":                 false,
		"Use `Who is gone` for it.":                    false,
		"A client that sends too much is closed.":      false,
		"It is one sentence. It is what you asked for": false,
	} {
		if got := checkWords("a.md", 1, []string{text}, true); (len(got) > 0) != found {
			t.Errorf("%q: %v", text, got)
		}
	}
	text := strings.Split("# Who reads\n\n| Who | What |\n\n```sh\nWho is it.\n```\n\n- fine\n- Who knows is\n  wise.", "\n")
	if got := checkWords("a.md", 1, text, true); len(got) != 1 || got[0].line != 10 {
		t.Errorf("%v, want one problem in line 10", got)
	}
}

func TestMarkdown(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("docs/a.md", "# A `page` (one)\n\n## Same\n\n## Same\n\n<a id=\"set\"></a>\n")
	write("docs/long.md", strings.Repeat("x\n", 401))
	write("README.md", strings.Join([]string{
		"[good](docs/a.md) [good](docs/a.md#a-page-one) [good](docs/a.md#same-1) [good](#here) [good](docs/a.md#set) [good](https://example.org/x#y)",
		"## Here", "`[code](none.md)`", "```", "[code](none.md)", "```", "[bad](none.md)", "[bad](docs/a.md#none)", "[bad](#none)",
	}, "\n"))
	write("a.go", "package a\n\n// A is\n// so.\ntype A int\n")
	git := exec.Command("git", "init", "-q")
	git.Dir = dir
	if out, err := git.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	problems, err := check(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range problems {
		got = append(got, p.String())
	}
	slices.Sort(got)
	want := []string{
		"README.md:7: link to none.md: there is no such file",
		"README.md:8: link to docs/a.md#none: the page has no such heading",
		"README.md:9: link to #none: the page has no such heading",
		"a.go:3: the comment does not wrap at 120 columns",
		"docs/long.md:401: the page has 401 lines, and at most 400 are read: split it",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := check(dir, true); err != nil {
		t.Fatal(err)
	}
	if content, _ := os.ReadFile(filepath.Join(dir, "a.go")); string(content) != "package a\n\n// A is so.\ntype A int\n" {
		t.Errorf("it was wrapped as %q", content)
	}
}
