package mixin

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A runbook has a frame between these marks, which is generated from the alert's definition. The text below the frame
// is written by people and stays.
const (
	frameBegin = "<!-- made by sockscope mixin: begin -->"
	frameEnd   = "<!-- made by sockscope mixin: end -->"
)

// Runbooks returns the pages of runbooks by file name, with an index. The pages that exist keep what people have
// written.
func Runbooks(c Config, existing map[string]string) (map[string]string, error) {
	alerts, err := Alerts(c)
	if err != nil {
		return nil, err
	}
	thresholds, err := Thresholds(c)
	if err != nil {
		return nil, err
	}
	pages := make(map[string]string)
	for _, a := range alerts {
		name := a.Name + ".md"
		pages[name] = framed(existing[name], "# "+a.Name, frame(a, thresholds))
	}
	pages["README.md"] = framed(existing["README.md"], "# Runbooks", index(alerts))
	return pages, nil
}

// framed puts a frame into a page, or behind its title where it has none yet.
func framed(page, title, frame string) string {
	frame = frameBegin + "\n" + frame + frameEnd + "\n"
	if page == "" {
		return title + "\n\n" + frame
	}
	if begin, end := strings.Index(page, frameBegin), strings.Index(page, frameEnd); begin >= 0 && end > begin {
		return page[:begin] + frame + strings.TrimPrefix(page[end+len(frameEnd):], "\n")
	}
	head, rest, _ := strings.Cut(page, "\n")
	return head + "\n\n" + frame + rest
}

func frame(a Alert, thresholds map[string]float64) string {
	var b strings.Builder
	kind := "A cause: it may hurt users soon, or explains what does."
	switch {
	case a.Symptom:
		kind = "A symptom: users feel it."
	case a.Levels[0].Severity == None:
		kind = "The heartbeat: it tells that alerts can reach you."
	}
	var severities []string
	for _, l := range a.Levels {
		severities = append(severities, "`"+string(l.Severity)+"`")
	}
	fmt.Fprintf(&b, "**Severity.** %s. %s\n\n", strings.Join(slices.Compact(severities), ", "), kind)
	fmt.Fprintf(&b, "**It fires when.** %s\n\n", a.Meaning)
	fmt.Fprintf(&b, "**First.** %s\n\n", a.First)
	if a.Panel != "" {
		fmt.Fprintf(&b, "**Panel.** *%s*, which the notification links.\n\n", a.Panel)
	}
	if len(a.Thresholds) > 0 {
		b.WriteString("| threshold | default | what it is |\n|---|---|---|\n")
		for _, t := range a.Thresholds {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", t.Name, strconv.FormatFloat(thresholds[t.Name], 'f', -1, 64), t.Meaning)
		}
		b.WriteString("\n")
	}
	for _, l := range a.Levels {
		wait := ""
		if l.For != "" {
			wait = ", for " + l.For
		}
		fmt.Fprintf(&b, "<details><summary>The expression of %s%s</summary>\n\n```promql\n%s\n```\n\n</details>\n\n", l.Severity, wait, l.Expr)
	}
	if fires, quiet := tried(a.Name); len(fires)+len(quiet) > 0 {
		b.WriteString("<details><summary>What it is tested with</summary>\n\n")
		for _, list := range []struct {
			title string
			of    []string
		}{{"It fires when", fires}, {"It stays quiet when", quiet}} {
			if len(list.of) == 0 {
				continue
			}
			fmt.Fprintf(&b, "%s:\n\n", list.title)
			for _, name := range list.of {
				fmt.Fprintf(&b, "- %s\n", name)
			}
			b.WriteString("\n")
		}
		b.WriteString("</details>\n\n")
	}
	return b.String()
}

// tried returns the situations in which an alert fires and those in which it stays quiet although it comes close.
func tried(alert string) (fires, quiet []string) {
	for _, s := range Situations() {
		if slices.ContainsFunc(s.Want, func(w Want) bool {
			return slices.ContainsFunc(w.Firing, func(f string) bool { return strings.HasPrefix(f, alert+"/") })
		}) {
			fires = append(fires, s.Name)
		} else if slices.Contains(s.Control, alert) {
			quiet = append(quiet, s.Name)
		}
	}
	return fires, quiet
}

func index(alerts []Alert) string {
	order := map[Severity]int{Critical: 0, Warning: 1, Info: 2, None: 3}
	sorted := slices.Clone(alerts)
	slices.SortStableFunc(sorted, func(a, b Alert) int { return order[a.Levels[0].Severity] - order[b.Levels[0].Severity] })
	var b strings.Builder
	b.WriteString("| alert | severity | it fires when |\n|---|---|---|\n")
	for _, a := range sorted {
		var severities []string
		for _, l := range a.Levels {
			severities = append(severities, string(l.Severity))
		}
		fmt.Fprintf(&b, "| [%s](%s.md) | %s | %s |\n", a.Name, a.Name, strings.Join(slices.Compact(severities), ", "), a.Meaning)
	}
	return b.String()
}
