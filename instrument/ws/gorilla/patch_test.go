package gorilla_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A hunk replaces the old lines, which may be none, from a line on.
type hunk struct {
	at       int // the index of the first line that is replaced, or is behind what is added
	old, new []string
}

type hunks []hunk

// readPatch reads a unified diff without context, by file.
func readPatch(t *testing.T, name string) map[string]hunks {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	header := regexp.MustCompile(`^@@ -(\d+)(,0)? \+`)
	patch, file := map[string]hunks{}, ""
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSuffix(line, "\n")
		last := len(patch[file]) - 1
		switch m := header.FindStringSubmatch(line); {
		case strings.HasPrefix(line, "--- "):
		case strings.HasPrefix(line, "+++ b/"):
			file = strings.TrimPrefix(line, "+++ b/")
		case m != nil:
			at, _ := strconv.Atoi(m[1])
			if m[2] == "" {
				at-- // the line itself is replaced, not added after
			}
			patch[file] = append(patch[file], hunk{at: at})
		case last >= 0 && strings.HasPrefix(line, "-"):
			patch[file][last].old = append(patch[file][last].old, line[1:])
		case last >= 0 && strings.HasPrefix(line, "+"):
			patch[file][last].new = append(patch[file][last].new, line[1:])
		default:
			t.Fatalf("%s: unexpected line %q", name, line)
		}
	}
	return patch
}

// apply returns the content with the hunks applied, and how many lines were changed or added.
func (h hunks) apply(t *testing.T, content string) (string, int) {
	t.Helper()
	lines := strings.Split(content, "\n")
	var patched []string
	changed, done := 0, 0
	for _, hunk := range h {
		patched = append(patched, lines[done:hunk.at]...)
		done = hunk.at + len(hunk.old)
		if diff := cmp.Diff(strings.Join(hunk.old, "\n"), strings.Join(lines[hunk.at:done], "\n")); diff != "" {
			t.Fatalf("the example is not what the patch is for, -patch +example:\n%s", diff)
		}
		patched = append(patched, hunk.new...)
		changed += max(len(hunk.old), len(hunk.new))
	}
	return strings.Join(append(patched, lines[done:]...), "\n"), changed
}
