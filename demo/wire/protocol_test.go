package wire

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The page that others write clients by has every type and every code, no others, and an example that is accepted.
func TestProtocolPage(t *testing.T) {
	data, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)

	if diff := cmp.Diff(sorted(clientTypes()), firstColumn(page, "the client sends")); diff != "" {
		t.Errorf("what a client sends (-code +page):\n%s", diff)
	}
	server := []Type{
		TypeMessage, TypeTyping, TypeRead, TypeHistory, TypeDocumentClose, TypeDocumentEdit, TypeDocumentCursor,
	}
	for _, typ := range Types() {
		if !slices.Contains(clientTypes(), typ) {
			server = append(server, typ)
		}
	}
	if diff := cmp.Diff(sorted(server), firstColumn(page, "the server sends")); diff != "" {
		t.Errorf("what the server sends (-code +page):\n%s", diff)
	}
	source, err := os.ReadFile("decode.go")
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for _, m := range regexp.MustCompile(`(?m)^\s+Code\w+\s+Code = "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		codes = append(codes, m[1])
	}
	if diff := cmp.Diff(sorted(codes), firstColumn(page, "code of a refusal")); diff != "" {
		t.Errorf("codes (-code +page):\n%s", diff)
	}
	_, example, _ := strings.Cut(page, "```json\n")
	example, _, _ = strings.Cut(example, "```")
	if _, err := Decode([]byte(example)); err != nil {
		t.Errorf("the example is refused: %v", err)
	}
}

// firstColumn returns the code words in the first column of the table with that heading.
func firstColumn(page, heading string) []string {
	var words []string
	_, table, _ := strings.Cut(page, "| "+heading+" |")
	for line := range strings.Lines(table) {
		if strings.TrimSpace(line) == "" {
			break
		}
		cell, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		for _, m := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(cell, -1) {
			words = append(words, m[1])
		}
	}
	return sorted(words)
}

func sorted[S ~string](words []S) []string {
	out := make([]string, 0, len(words))
	for _, w := range words {
		out = append(out, string(w))
	}
	slices.Sort(out)
	return out
}
