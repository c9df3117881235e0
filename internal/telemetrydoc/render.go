package main

import (
	_ "embed" // the page
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"

	"github.com/sockscope/sockscope/instrument/sse"
	"github.com/sockscope/sockscope/internal/contract"
)

//go:embed telemetry.md.tmpl
var page string

// render makes the page of the contract.
func render(c *contract.Contract) (string, error) {
	t, err := template.New("telemetry.md").Funcs(template.FuncMap{
		"part": func(name string) (string, error) {
			part, err := c.Part(name)
			return tables(c, part), err
		},
	}).Parse(page)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, map[string]any{"SSE": sse.Protocol, "Resource": c.Resource})
	return b.String(), err
}

// tables describes what a part exports.
func tables(c *contract.Contract, part contract.Part) string {
	var b strings.Builder
	metrics(&b, part)
	labels(&b, c, part)
	spans(&b, part)
	logRecords(&b, part)
	return strings.TrimSpace(b.String())
}

func metrics(b *strings.Builder, part contract.Part) {
	b.WriteString("\n| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, m := range part.Metrics {
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", m.Name, m.Type, code(m.LabelNames()), m.Meaning)
	}
}

// labels lists the values of each label, and says which metrics have them if others have different ones.
func labels(b *strings.Builder, c *contract.Contract, part contract.Part) {
	metrics := map[string]map[string]names{} // by label and list of values
	for _, m := range part.Metrics {
		for label, set := range m.Labels {
			if metrics[label] == nil {
				metrics[label] = map[string]names{}
			}
			add(metrics[label], code(c.Values[set].All()), m.Name)
		}
	}
	if len(metrics) == 0 {
		return
	}
	b.WriteString("\n| label | values | only in |\n|---|---|---|\n")
	for _, label := range slices.Sorted(maps.Keys(metrics)) {
		for _, values := range slices.Sorted(maps.Keys(metrics[label])) {
			var only names
			if len(metrics[label]) > 1 {
				only = metrics[label][values]
			}
			fmt.Fprintf(b, "| `%s` | %s | %s |\n", label, values, code(only.sorted()))
		}
	}
}

func spans(b *strings.Builder, part contract.Part) {
	if len(part.Spans) == 0 {
		return
	}
	b.WriteString("\n| span | kind | attributes |\n|---|---|---|\n")
	for _, s := range part.Spans {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", s.Name, s.Kind, code(slices.Sorted(slices.Values(slices.Concat(s.Always, s.Sometimes)))))
	}
}

func logRecords(b *strings.Builder, part contract.Part) {
	if len(part.Records) == 0 {
		return
	}
	b.WriteString("\n| log record | level | fields |\n|---|---|---|\n")
	for _, r := range part.Records {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", r.Message, code(r.Levels), code(slices.Sorted(slices.Values(slices.Concat(r.Always, r.Sometimes)))))
	}
}

// code lists words as code.
func code(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return "`" + strings.Join(words, "` `") + "`"
}
