package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

const head = `# Telemetry

Generated from the code by ` + "`go run ./internal/telemetrydoc > docs/telemetry.md`" + `; a test compares.

What an observer of the transport ` + "`websocket`" + ` exports. One of another transport (see instrument.WithTransport) has
its name as the prefix instead, in metrics, spans and attributes.
`

// render drives an observer and describes what it exported.
func render() (string, error) {
	t, err := drive()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(head)
	metrics(&b, t.families)
	labels(&b, t.families)
	spans(&b, t)
	if err := records(&b, t); err != nil {
		return "", err
	}
	return b.String(), nil
}

func metrics(b *strings.Builder, families []*dto.MetricFamily) {
	b.WriteString("\n## Metrics\n\n| name | type | labels | meaning |\n|---|---|---|---|\n")
	for _, f := range families {
		names := map[string]bool{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				names[l.GetName()] = true
			}
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()),
			list(slices.Sorted(maps.Keys(names))), f.GetHelp())
	}
	b.WriteString("\nHistograms have classic buckets and native ones alongside.\n")
}

// labels lists the values that exist from the start, which are those of the closed sets, by label and metric.
func labels(b *strings.Builder, families []*dto.MetricFamily) {
	b.WriteString("\n## Labels\n\nEvery value is from a closed set; what is outside becomes `other` and is counted in `instrument_label_overflow_total`.\n\n" +
		"| label | of | values |\n|---|---|---|\n")
	for _, f := range families {
		values := map[string]map[string]bool{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if values[l.GetName()] == nil {
					values[l.GetName()] = map[string]bool{}
				}
				values[l.GetName()][l.GetValue()] = true
			}
		}
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if len(values[name]) > 1 && f.GetType() != dto.MetricType_HISTOGRAM {
				fmt.Fprintf(b, "| %s | `%s` | %s |\n", name, f.GetName(), list(slices.Sorted(maps.Keys(values[name]))))
			}
		}
	}
}

func spans(b *strings.Builder, t *telemetry) {
	b.WriteString("\n## Spans\n\nNo span lasts as long as its connection, and none has events.\n\n| name | kind | attributes |\n|---|---|---|\n")
	kinds, attributes := map[string]string{}, map[string]map[string]bool{}
	for _, s := range t.spans {
		kinds[s.Name()] = s.SpanKind().String()
		if attributes[s.Name()] == nil {
			attributes[s.Name()] = map[string]bool{}
		}
		for _, a := range s.Attributes() {
			attributes[s.Name()][string(a.Key)] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, kinds[name], list(slices.Sorted(maps.Keys(attributes[name]))))
	}
}

func records(b *strings.Builder, t *telemetry) error {
	b.WriteString("\n## Log records\n\n| message | level | fields |\n|---|---|---|\n")
	levels, fields := map[string]string{}, map[string]map[string]bool{}
	for line := range strings.Lines(t.records.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			return fmt.Errorf("log record %q: %w", line, err)
		}
		msg := fmt.Sprint(record["msg"])
		levels[msg] = fmt.Sprint(record["level"])
		if fields[msg] == nil {
			fields[msg] = map[string]bool{}
		}
		for name := range record {
			if name != "msg" && name != "level" && name != "time" {
				fields[msg][name] = true
			}
		}
	}
	for _, msg := range slices.Sorted(maps.Keys(levels)) {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", msg, levels[msg], list(slices.Sorted(maps.Keys(fields[msg]))))
	}
	return nil
}

func list(names []string) string { return "`" + strings.Join(names, "` `") + "`" }
