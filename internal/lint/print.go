package lint

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/sockscope/sockscope/internal/needs"
)

// Print writes a report for people: the findings, the worst first, then what shows nothing.
func Print(w io.Writer, r Report, colour bool) {
	p := printer{w, colour}
	p.line("%s", p.paint("1", r.Service))
	if r.Problem != "" {
		p.line("  %s %s", p.paint("31", "✗"), oneLine(r.Problem))
		return
	}
	for _, f := range r.Findings {
		mark := map[Severity]string{Error: p.paint("31", "✗"), Warning: p.paint("33", "!"), Note: p.paint("2", "–")}[f.Severity]
		about := oneLine(f.Problem)
		if f.Severity == Note && len(f.Affects) > 0 {
			about += ": " + list(f.Affects)
		}
		p.line("  %s %s %s", mark, p.paint("1", oneLine(f.Subject)), about)
		if f.Severity == Note { // there may be many, and none asks for anything
			continue
		}
		if f.Fix != "" {
			p.line("      %s %s", p.paint("2", "fix  "), oneLine(f.Fix))
		}
		if len(f.Affects) > 0 {
			p.line("      %s %s", p.paint("2", "hits "), list(f.Affects))
		}
	}
	p.silent(r)
}

type printer struct {
	w      io.Writer
	colour bool
}

func (p printer) line(format string, args ...any) {
	_, _ = fmt.Fprintf(p.w, format+"\n", args...) // a reader that closed the pipe needs no more
}

func (p printer) paint(code, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// silent says how much works, and why the rest does not.
func (p printer) silent(r Report) {
	if len(r.Works)+len(r.Silent) == 0 {
		return
	}
	counts := make([]string, 0, 3)
	for _, kind := range kinds() {
		works, all := count(r.Works, kind), count(r.Works, kind)+count(r.Silent, kind)
		if all > 0 {
			counts = append(counts, fmt.Sprintf("%d of %d %s", works, all, plural(kind)))
		}
	}
	if len(r.Silent) == 0 {
		p.line("  %s %s work", p.paint("32", "✓"), strings.Join(counts, ", "))
		return
	}
	p.line("  %s work. These show nothing, or not everything:", strings.Join(counts, ", "))
	for _, kind := range kinds() {
		for _, c := range r.Silent {
			if c.Kind == kind {
				p.line("      %s %s: no %s", kind, c.title(), oneLine(strings.Join(c.Lacks, ", no ")))
			}
		}
	}
}

func kinds() []needs.Kind { return []needs.Kind{needs.Alert, needs.Panel, needs.Page} }

func plural(kind needs.Kind) string {
	if kind == needs.Page {
		return "pages of the desk"
	}
	return string(kind) + "s"
}

func count(list []Consumer, kind needs.Kind) int {
	n := 0
	for _, c := range list {
		if c.Kind == kind {
			n++
		}
	}
	return n
}

// title is the name as it stands in a text: that of a panel or a page has words and commas.
func (c Consumer) title() string {
	if c.Kind == needs.Alert {
		return c.Name
	}
	return strconv.Quote(c.Name)
}

// list names consumers by kind, the first few of each.
func list(of []Consumer) string {
	const most = 6
	var parts []string
	for _, kind := range kinds() {
		var names []string
		for _, c := range of {
			if c.Kind == kind {
				names = append(names, c.title())
			}
		}
		if len(names) == 0 {
			continue
		}
		more := ""
		if n := len(names) - most; n > 0 {
			names, more = names[:most], fmt.Sprintf(" and %d more", n)
		}
		parts = append(parts, fmt.Sprintf("%s %s%s", plural(kind), strings.Join(names, ", "), more))
	}
	return strings.Join(parts, "; ")
}

// oneLine keeps what a service said from becoming several lines, or commands of a terminal.
func oneLine(s string) string {
	const most = 1000
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
