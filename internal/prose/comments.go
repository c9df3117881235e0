package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strings"
	"unicode/utf8"
)

const (
	width    = 120 // columns of a line with a comment
	tabWidth = 4
)

// checkGo reports words in the comments of a Go file, and returns the file with its comments wrapped.
func checkGo(name string, content []byte) ([]problem, []byte, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, nil, fmt.Errorf("read the comments of %s: %w", name, err)
	}
	if ast.IsGenerated(file) {
		return nil, content, nil
	}
	var problems []problem
	lines := strings.Split(string(content), "\n")
	wrapped := make([][]string, len(lines)) // in place of each line
	for i := range lines {
		wrapped[i] = lines[i : i+1]
	}
	for _, group := range file.Comments {
		first, last := set.Position(group.Pos()).Line-1, set.Position(group.End()).Line-1
		text := make([]string, 0, last-first+1)
		for _, c := range group.List {
			text = append(text, strings.TrimPrefix(strings.TrimPrefix(c.Text, "//"), " "))
		}
		problems = append(problems, checkWords(name, first+1, text, false)...)
		indent, _, _ := strings.Cut(lines[first], "//")
		if strings.Trim(indent, "\t") != "" || strings.HasPrefix(group.List[0].Text, "/*") || isOutput(text) {
			continue
		}
		for i := first; i <= last; i++ {
			wrapped[i] = nil
		}
		wrapped[first] = wrapGroup(indent, lines[first:last+1])
	}
	var out []string
	for _, w := range wrapped {
		out = append(out, w...)
	}
	return problems, []byte(strings.Join(out, "\n")), nil
}

// isOutput says whether a comment is the output of an example.
func isOutput(text []string) bool {
	for _, line := range text {
		if l := strings.ToLower(line); strings.HasPrefix(l, "output:") || strings.HasPrefix(l, "unordered output:") {
			return true
		}
	}
	return false
}

// plain matches a line of a paragraph: not a heading, a list, code, a directive, or a table.
var plain = regexp.MustCompile(`^// [^\s#\-*|\[]`)

// aligned matches text that somebody has put into columns.
var aligned = regexp.MustCompile(`\S {2,}\S`)

// numbered matches an item of a list.
var numbered = regexp.MustCompile(`^// \d+[.)] `)

// wrapGroup wraps the paragraphs of a group of comments.
func wrapGroup(indent string, lines []string) []string {
	var out, paragraph []string
	flush := func() {
		out = append(out, wrapParagraph(indent, paragraph)...)
		paragraph = nil
	}
	for _, line := range lines {
		text := strings.TrimPrefix(line, indent)
		if !plain.MatchString(text) || numbered.MatchString(text) {
			flush()
			out = append(out, line)
			continue
		}
		paragraph = append(paragraph, text)
	}
	flush()
	return out
}

// wrapParagraph puts as many words on each line as there is room for.
func wrapParagraph(indent string, lines []string) []string {
	var words []string
	for _, line := range lines {
		text := strings.TrimPrefix(line, "// ")
		if aligned.MatchString(text) {
			return prefixed(indent, lines)
		}
		words = append(words, strings.Fields(text)...)
	}
	var out []string
	room := width - tabWidth*len(indent) - len("//")
	var line strings.Builder
	used := 0
	for _, word := range words {
		n := 1 + utf8.RuneCountInString(word)
		if used > 0 && used+n > room {
			out = append(out, indent+"//"+line.String())
			line.Reset()
			used = 0
		}
		line.WriteString(" " + word)
		used += n
	}
	if used > 0 {
		out = append(out, indent+"//"+line.String())
	}
	return out
}

func prefixed(indent string, lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = indent + line
	}
	return out
}
