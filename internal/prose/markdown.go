package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// maxLines is the largest length of a page of the docs. The changelog may be longer.
const maxLines = 400

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)(?: "[^"]*")?\)`)
	heading = regexp.MustCompile(`^#{1,6} +(.*?)\s*#*$`)
	anchor  = regexp.MustCompile(`<a (?:id|name)="([^"]+)"`)
	// notInSlug is what GitHub leaves out of a heading's anchor.
	notInSlug = regexp.MustCompile(`[^\p{L}\p{N}\p{M}_\- ]`)
	markup    = regexp.MustCompile("`|\\*\\*|\\]\\([^)]*\\)|\\[")
)

// checkMarkdown reports links that lead nowhere, pages that are too long, and words.
func checkMarkdown(dir, file, content string) []problem {
	lines := strings.Split(content, "\n")
	problems := checkWords(file, 1, lines, true)
	if len(lines) > maxLines+1 && strings.HasPrefix(file, "docs/") {
		problems = append(problems, problem{file, maxLines + 1, fmt.Sprintf("the page has %d lines, and at most %d are read: split it", len(lines)-1, maxLines)})
	}
	fenced := false
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		if fenced {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(inline.ReplaceAllString(line, ""), -1) {
			if err := follow(dir, file, m[1]); err != nil {
				problems = append(problems, problem{file, i + 1, err.Error()})
			}
		}
	}
	return problems
}

// inline is code within a line, in which nothing is a link.
var inline = regexp.MustCompile("`[^`]*`")

// follow returns an error if a link within the repository leads nowhere.
func follow(dir, file, target string) error {
	u, err := url.Parse(target)
	if err != nil {
		return fmt.Errorf("link to %s: %w", target, err)
	}
	if u.Scheme != "" || u.Host != "" {
		return nil
	}
	path := filepath.Join(dir, file)
	if u.Path != "" {
		path = filepath.Join(dir, filepath.Dir(file), filepath.FromSlash(u.Path))
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("link to %s: there is no such file", target)
	}
	if u.Fragment == "" || filepath.Ext(path) != ".md" {
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("link to %s: %w", target, err)
	}
	if !anchors(string(content))[u.Fragment] {
		return fmt.Errorf("link to %s: the page has no such heading", target)
	}
	return nil
}

// anchors returns those of the headings, as GitHub makes them, and those that the page sets.
func anchors(content string) map[string]bool {
	found := map[string]bool{}
	fenced := false
	for line := range strings.SplitSeq(content, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		if fenced {
			continue
		}
		for _, m := range anchor.FindAllStringSubmatch(line, -1) {
			found[m[1]] = true
		}
		if m := heading.FindStringSubmatch(line); m != nil {
			slug := slug(m[1])
			for n := 0; ; n++ {
				name := slug
				if n > 0 {
					name = fmt.Sprintf("%s-%d", slug, n)
				}
				if !found[name] {
					found[name] = true
					break
				}
			}
		}
	}
	return found
}

func slug(heading string) string {
	heading = markup.ReplaceAllString(heading, "")
	return strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}
