package desk

import (
	"html"
	"html/template"
	"regexp"
	"strings"

	"github.com/sockscope/sockscope/internal/desk/drawing"
)

var (
	markdownInline = regexp.MustCompile("`([^`]+)`|\\[([^\\]]+)\\]\\(([^()\\s]+)\\)|\\*\\*([^*]+)\\*\\*")
	markdownItem   = regexp.MustCompile(`^\s*(?:[-*]|\d+\.)\s+(.*)$`)
	markdownHead   = regexp.MustCompile(`^(#{1,4})\s+(.*)$`)
)

// markdown makes markup of the Markdown in which dashboards explain themselves: paragraphs, headings, lists, links,
// code and strong words. Everything else stays text.
func markdown(text string) template.HTML {
	var b strings.Builder
	var paragraph, items []string
	finish := func() {
		if len(paragraph) > 0 {
			b.WriteString("<p>" + markdownWords(strings.Join(paragraph, " ")) + "</p>")
		}
		if len(items) > 0 {
			b.WriteString("<ul>")
			for _, item := range items {
				b.WriteString("<li>" + markdownWords(item) + "</li>")
			}
			b.WriteString("</ul>")
		}
		paragraph, items = nil, nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		head, item := markdownHead.FindStringSubmatch(line), markdownItem.FindStringSubmatch(line)
		switch {
		case strings.TrimSpace(line) == "":
			finish()
		case head != nil:
			finish()
			b.WriteString("<h4>" + markdownWords(head[2]) + "</h4>")
		case item != nil:
			if len(paragraph) > 0 {
				finish()
			}
			items = append(items, item[1])
		case len(items) > 0:
			items[len(items)-1] += " " + strings.TrimSpace(line)
		default:
			paragraph = append(paragraph, strings.TrimSpace(line))
		}
	}
	finish()
	return template.HTML(b.String()) // everything in it has been escaped
}

// markdownWords escapes a line but for what stands between the marks.
func markdownWords(line string) string {
	var b strings.Builder
	last := 0
	for _, at := range markdownInline.FindAllStringSubmatchIndex(line, -1) {
		b.WriteString(html.EscapeString(line[last:at[0]]))
		last = at[1]
		group := func(n int) string {
			if at[2*n] < 0 {
				return ""
			}
			return html.EscapeString(line[at[2*n]:at[2*n+1]])
		}
		switch {
		case at[2] >= 0:
			b.WriteString("<code>" + group(1) + "</code>")
		case at[4] >= 0:
			if drawing.Address(line[at[6]:at[7]]) == "" {
				b.WriteString(group(2))
				continue
			}
			b.WriteString(`<a href="` + group(3) + `">` + group(2) + "</a>")
		default:
			b.WriteString("<strong>" + group(4) + "</strong>")
		}
	}
	b.WriteString(html.EscapeString(line[last:]))
	return b.String()
}
