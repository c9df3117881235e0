package mixin

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Header is the first line of each file that is made.
const Header = "# Made by \"sockscope mixin\" from the package mixin. Change that, not this.\n"

// Files returns the files of rules by name, each with the groups of one transport or of what all transports share.
func Files(c Config) (map[string]string, error) {
	groups, err := Groups(c)
	if err != nil {
		return nil, err
	}
	files := make(map[string]string)
	for _, g := range groups {
		name := fileOf(g)
		if files[name] == "" {
			files[name] = Header + "\ngroups:\n"
		}
		files[name] += c.render(g)
	}
	return files, nil
}

// fileOf returns the name of the file that a group is in.
func fileOf(g Group) string {
	name, _, _ := strings.Cut(g.Name, "-")
	return name + ".yml"
}

func (c Config) render(g Group) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  # %s\n  - name: %s\n    interval: %s\n    rules:\n", g.About, g.Name, g.Interval)
	for _, r := range g.Records {
		fmt.Fprintf(&b, "      - record: %s\n", r.Name)
		property(&b, "expr", r.Expr)
		labels(&b, r.Labels)
	}
	for _, a := range g.Alerts {
		for _, l := range a.Levels {
			fmt.Fprintf(&b, "      - alert: %s\n", a.Name)
			property(&b, "expr", l.Expr)
			property(&b, "for", l.For)
			property(&b, "keep_firing_for", a.KeepFiringFor)
			marks := map[string]string{"severity": string(l.Severity)}
			if g.Transport != "" {
				marks["transport"] = g.Transport
			}
			if a.Symptom {
				marks["symptom"] = "true"
			}
			labels(&b, marks)
			b.WriteString("        annotations:\n")
			for _, annotation := range [][2]string{
				{"summary", a.Summary},
				{"description", a.Description},
				{"runbook_url", c.RunbookURL + a.Name + ".md"},
				{"dashboard_url", c.PanelURL(a, g.Transport)},
			} {
				fmt.Fprintf(&b, "          %s: %s\n", annotation[0], scalar(annotation[1]))
			}
		}
	}
	return b.String()
}

// property writes a property of a rule, unless it is empty.
func property(b *strings.Builder, name, value string) {
	switch {
	case value == "":
	case strings.Contains(value, "\n"):
		fmt.Fprintf(b, "        %s: |\n          %s\n", name, strings.ReplaceAll(value, "\n", "\n          "))
	default:
		fmt.Fprintf(b, "        %s: %s\n", name, scalar(value))
	}
}

func labels(b *strings.Builder, values map[string]string) {
	if len(values) == 0 {
		return
	}
	b.WriteString("        labels:\n")
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(b, "          %s: %s\n", name, scalar(values[name]))
	}
}

// scalar writes a text so that YAML reads it as that text.
func scalar(s string) string {
	var node yaml.Node
	node.SetString(s)
	text, err := yaml.Marshal(&node)
	if err != nil || strings.Count(string(text), "\n") > 1 {
		return fmt.Sprintf("%q", s)
	}
	return strings.TrimSpace(string(text))
}
