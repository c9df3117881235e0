package main

import (
	"regexp"
	"strings"
)

// A rule is about words that make a reader stop.
type rule struct {
	pattern *regexp.Regexp
	advice  string
}

// rules are those of docs/style.md that a pattern can find.
var rules = []rule{
	{regexp.MustCompile(`(?:^|[.;:!] )(Who|Whoever|Whose) [^?]*$`), "name the person: \"A client that …\", \"Callers who …\""},
	{regexp.MustCompile(`(?:^|[.;:!] )(What|Whatever) [^?]*$`), "begin with the thing itself, not with \"What\""},
	{regexp.MustCompile(`[;:] (who|what) (?:is|are|has|had|does|goes|comes|sends|reads|leaves|knows|asks|wants|can|may|must) `), "name the person or thing"},
	{regexp.MustCompile(`(?i)\b(in order to)\b`), "\"to\" is enough"},
	{regexp.MustCompile(`(?i)\b(whoever|whatsoever|whosoever)\b`), "\"anyone who\", \"whatever\""},
	{regexp.MustCompile(`(?i)\b(hence|thereby|thus|wherein|whereby|thereof|whilst|amongst|nevertheless|henceforth|hitherto)\b`), "use a plain word: so, by this, in which, while, among, still"},
	{regexp.MustCompile(`(?i)\b(act|acts|acted|based|depending|depend|depends) (upon)\b`), "\"on\""},
	{regexp.MustCompile(`(?i)\b(shall)\b`), "\"must\", or say what it does"},
	{regexp.MustCompile(`(?i)\b(is|are|was|be) to be (had|found out|seen)\b`), "say who does it, in the active voice"},
	{regexp.MustCompile(`(?i)\b(if one|one sees|one says|one knows|one wants|one needs|than one thinks)\b`), "the reader is \"you\""},
}

// code is what stands between back quotes, and links' addresses.
var code = regexp.MustCompile("`[^`]*`|\\]\\([^)]*\\)|\"[^\"]*\"")

// sentence is a stop that ends one.
var sentence = regexp.MustCompile(`[.!?:](?:\s+|$)`)

// checkWords reports what the rules find in lines of text of which the first has the number. Only prose is checked: in
// markdown not tables, headings, or lists of questions.
func checkWords(file string, first int, lines []string, markdown bool) []problem {
	var problems []problem
	for _, p := range paragraphs(lines, markdown) {
		text := code.ReplaceAllString(p.text, "C")
		for _, s := range sentences(text) {
			if strings.HasSuffix(s, "?") || strings.HasSuffix(s, ":") { // a question, or what stands above a list
				continue
			}
			for _, r := range rules {
				if m := r.pattern.FindStringSubmatch(s); m != nil {
					problems = append(problems, problem{file, first + p.line, "\"" + cut(s) + "\": " + r.advice})
					break
				}
			}
		}
	}
	return problems
}

func cut(s string) string {
	const most = 70
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// paragraph is text without line breaks, and the line in which it begins.
type paragraph struct {
	line int
	text string
}

// paragraphs joins lines up to empty ones, and leaves out what is not prose.
func paragraphs(lines []string, markdown bool) []paragraph {
	var found []paragraph
	var open *paragraph
	fenced := false
	for i, line := range lines {
		trimmed := strings.TrimSpace(line)
		if markdown && strings.HasPrefix(trimmed, "```") {
			fenced = !fenced
			open = nil
			continue
		}
		isCode := fenced || !markdown && (strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "    "))
		switch {
		case trimmed == "" || isCode || strings.HasPrefix(trimmed, "|") || strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, "<"):
			open = nil
			continue
		case strings.HasPrefix(trimmed, "- ") || strings.HasPrefix(trimmed, "* "):
			open = nil
			trimmed = trimmed[2:]
		}
		if open == nil {
			found = append(found, paragraph{line: i})
			open = &found[len(found)-1]
		} else {
			open.text += " "
		}
		open.text += trimmed
	}
	return found
}

// sentences splits text after full stops, question and exclamation marks.
func sentences(text string) []string {
	var found []string
	for len(text) > 0 {
		at := sentence.FindStringIndex(text)
		if at == nil {
			return append(found, text)
		}
		found = append(found, strings.TrimSpace(text[:at[1]]))
		text = text[at[1]:]
	}
	return found
}
