// Command prose checks what people read in this repository: that comments wrap at one width, that links lead somewhere,
// that no page of the docs is too long, and that nothing is said in a way that has to be read twice (docs/style.md).
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	write := flag.Bool("w", false, "wrap the comments that are wrapped otherwise, instead of reporting them")
	flag.Parse()
	problems, err := check(".", *write)
	if err != nil {
		fmt.Fprintln(os.Stderr, "prose:", err)
		os.Exit(2)
	}
	for _, p := range problems {
		fmt.Println(p)
	}
	if len(problems) > 0 {
		fmt.Fprintf(os.Stderr, "prose: %d problems; docs/style.md has the rules, and `go run ./internal/prose -w` wraps comments\n", len(problems))
		os.Exit(1)
	}
}

// problem is something that a reader would stumble over.
type problem struct {
	file string
	line int
	text string
}

func (p problem) String() string { return fmt.Sprintf("%s:%d: %s", p.file, p.line, p.text) }

// check reads all files that git tracks below dir, or could track. If wrap is set, it wraps comments.
func check(dir string, wrap bool) ([]problem, error) {
	files, err := list(dir)
	if err != nil {
		return nil, err
	}
	var problems []problem
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return nil, err
		}
		switch filepath.Ext(file) {
		case ".go":
			found, wrapped, err := checkGo(file, content)
			if err != nil {
				return nil, err
			}
			problems = append(problems, found...)
			switch line := firstDifference(content, wrapped); {
			case line == 0:
			case wrap:
				if err := os.WriteFile(filepath.Join(dir, file), wrapped, 0o644); err != nil { //nolint:gosec // it is source
					return nil, err
				}
			default:
				problems = append(problems, problem{file, line, fmt.Sprintf("the comment does not wrap at %d columns", width)})
			}
		case ".md":
			problems = append(problems, checkMarkdown(dir, file, string(content))...)
		}
	}
	return problems, nil
}

// list returns the files that git tracks or would add.
func list(dir string) ([]string, error) {
	cmd := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "-z", "*.go", "*.md")
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the files by git: %w", err)
	}
	files := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	return slices.DeleteFunc(files, func(file string) bool {
		_, err := os.Stat(filepath.Join(dir, file))
		return err != nil || strings.Contains(file, "testdata/")
	}), nil
}

// firstDifference returns the number of the first line that differs, 0 if none does.
func firstDifference(a, b []byte) int {
	if bytes.Equal(a, b) {
		return 0
	}
	linesA, linesB := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := range linesA {
		if i >= len(linesB) || !bytes.Equal(linesA[i], linesB[i]) {
			return i + 1
		}
	}
	return len(linesA)
}
