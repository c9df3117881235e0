package main

import (
	_ "embed" // the page
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"

	dto "github.com/prometheus/client_model/go"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sockscope/sockscope/instrument/sse"
)

//go:embed telemetry.md.tmpl
var page string

// render drives the packages and describes what they exported.
func render() (string, error) {
	t, err := template.New("telemetry.md").Funcs(template.FuncMap{
		"observer": func() (string, error) { return tables(driveObserver()) },
		"client":   func() (string, error) { return tables(driveClient()) },
		"probe":    func() (string, error) { return tables(driveProbe()) },
		"pipeline": func() (string, error) { return tables(drivePipeline()) },
	}).Parse(page)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, map[string]string{"SSE": sse.Protocol})
	return b.String(), err
}

// tables describes what a package has exported.
func tables(e *exports, err error) (string, error) {
	if err != nil {
		return "", err
	}
	var b strings.Builder
	metrics(&b, e.families)
	labels(&b, e.families)
	spans(&b, e.spans)
	logRecords(&b, e.records)
	return strings.TrimSpace(b.String()), nil
}

func metrics(b *strings.Builder, families []*dto.MetricFamily) {
	b.WriteString("\n| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, f := range families {
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()),
			keys(values(f)), f.GetHelp())
	}
}

// labels lists the values of each label, and says which metrics have them if others have different ones.
func labels(b *strings.Builder, families []*dto.MetricFamily) {
	b.WriteString("\n| label | values | only in |\n|---|---|---|\n")
	metrics := map[string]map[string]names{} // by label and list of values
	for _, f := range families {
		for label, values := range values(f) {
			if metrics[label] == nil {
				metrics[label] = map[string]names{}
			}
			add(metrics[label], values.String(), f.GetName())
		}
	}
	for _, label := range slices.Sorted(maps.Keys(metrics)) {
		for _, values := range slices.Sorted(maps.Keys(metrics[label])) {
			var only names
			if len(metrics[label]) > 1 {
				only = metrics[label][values]
			}
			fmt.Fprintf(b, "| `%s` | %s | %s |\n", label, values, only)
		}
	}
}

// values returns the values of a metric's labels.
func values(f *dto.MetricFamily) map[string]names {
	values := map[string]names{}
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			add(values, l.GetName(), l.GetValue())
		}
	}
	return values
}

func spans(b *strings.Builder, spans []sdktrace.ReadOnlySpan) {
	if len(spans) == 0 {
		return
	}
	b.WriteString("\n| span | kind | attributes |\n|---|---|---|\n")
	kinds, attributes := map[string]string{}, map[string]names{}
	for _, s := range spans {
		kinds[s.Name()] = s.SpanKind().String()
		for _, a := range s.Attributes() {
			add(attributes, s.Name(), string(a.Key))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, kinds[name], attributes[name])
	}
}

func logRecords(b *strings.Builder, r *records) {
	b.WriteString("\n| log record | level | fields |\n|---|---|---|\n")
	for _, message := range slices.Sorted(maps.Keys(r.kinds)) {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", message, r.kinds[message].levels, r.kinds[message].fields)
	}
}

func keys(sets map[string]names) names {
	keys := names{}
	for key := range sets {
		keys[key] = true
	}
	return keys
}
