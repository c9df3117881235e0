package main

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sockscope/sockscope/internal/contract"
)

// patience is for how long something may take that happens at once, on a machine that is busy.
const patience = 30 * time.Second

const docs = "../../docs"

func TestFilesAreCurrent(t *testing.T) {
	if err := run(docs, true); err != nil {
		t.Error(err)
	}
}

func TestFilesAreMade(t *testing.T) {
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join(docs, contract.Name))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, contract.Name), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(dir, true); err == nil || !strings.Contains(err.Error(), "telemetry.md") || strings.Contains(err.Error(), contract.Name+",") {
		t.Errorf("a missing page is told as %v", err)
	}
	if err := run(dir, false); err != nil {
		t.Fatal(err)
	}
	if err := run(dir, true); err != nil {
		t.Errorf("what was made just now: %v", err)
	}
}

// exports is what one package has exported while it was driven.
type exports struct {
	families []*dto.MetricFamily
	spans    []sdktrace.ReadOnlySpan
	records  *records
}

// TestLibraryKeepsTheContract compares what the library exports with the contract, which is right if they differ.
func TestLibraryKeepsTheContract(t *testing.T) {
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	for name, drive := range map[string]func() (*exports, error){
		"observer": driveObserver, "client": driveClient, "probe": driveProbe, "pipeline": drivePipeline,
	} {
		t.Run(name, func(t *testing.T) {
			part, err := c.Part(name)
			if err != nil {
				t.Fatal(err)
			}
			got, err := drive()
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(promisedMetrics(c, part), exportedMetrics(got.families)); diff != "" {
				t.Errorf("metrics (-contract +library):\n%s", diff)
			}
			checkSpans(t, part.Spans, got.spans)
			checkRecords(t, part.Records, got.records)
		})
	}
}

// metric is what a metric looks like to those who ask for it.
type metric struct {
	Type    contract.Type
	Meaning string
	Labels  map[string][]string // values by label
	Buckets []float64
}

func promisedMetrics(c *contract.Contract, part contract.Part) map[string]metric {
	all := make(map[string]metric)
	for _, m := range part.Metrics {
		promised := metric{m.Type, m.Meaning, make(map[string][]string), m.Buckets}
		for label, set := range m.Labels {
			promised.Labels[label] = c.Values[set].All()
		}
		all[m.Name] = promised
	}
	return all
}

func exportedMetrics(families []*dto.MetricFamily) map[string]metric {
	all := make(map[string]metric)
	for _, f := range families {
		exported := metric{contract.Type(strings.ToLower(f.GetType().String())), f.GetHelp(), make(map[string][]string), nil}
		values := make(map[string]names)
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				add(values, l.GetName(), l.GetValue())
			}
			exported.Buckets = nil
			for _, b := range m.GetHistogram().GetBucket() {
				exported.Buckets = append(exported.Buckets, b.GetUpperBound())
			}
		}
		for label, found := range values {
			exported.Labels[label] = found.sorted()
		}
		all[f.GetName()] = exported
	}
	return all
}

// checkSpans holds spans to the contract: each kind of span is there, with its attributes.
func checkSpans(t *testing.T, promised []contract.Span, got []sdktrace.ReadOnlySpan) {
	t.Helper()
	seen := make(map[string]names) // attributes by name of the span
	for _, s := range got {
		attributes := names{}
		for _, a := range s.Attributes() {
			attributes[string(a.Key)] = true
			add(seen, s.Name(), string(a.Key))
		}
		i := slices.IndexFunc(promised, func(p contract.Span) bool { return p.Name == s.Name() })
		if i < 0 {
			t.Errorf("the contract has no span %q", s.Name())
			continue
		}
		if promised[i].Kind != s.SpanKind().String() {
			t.Errorf("span %q is of the kind %s, by the contract %s", s.Name(), s.SpanKind(), promised[i].Kind)
		}
		for _, key := range promised[i].Always {
			if !attributes[key] {
				t.Errorf("a span %q has no %s", s.Name(), key)
			}
		}
	}
	want := make(map[string][]string)
	for _, p := range promised {
		want[p.Name] = slices.Sorted(slices.Values(slices.Concat(p.Always, p.Sometimes)))
	}
	if diff := gocmp.Diff(want, sorted(seen)); diff != "" {
		t.Errorf("attributes of spans (-contract +library):\n%s", diff)
	}
}

func checkRecords(t *testing.T, promised []contract.Record, got *records) {
	t.Helper()
	want, seen := make(map[string]contract.Record), make(map[string]contract.Record)
	for _, p := range promised {
		want[p.Message] = contract.Record{Levels: p.Levels, Always: slices.Sorted(slices.Values(slices.Concat(p.Always, p.Sometimes)))}
		for _, field := range p.Always {
			if kind := got.kinds[p.Message]; kind != nil && !kind.always[field] {
				t.Errorf("a record %q has no %s", p.Message, field)
			}
		}
	}
	for message, kind := range got.kinds {
		seen[message] = contract.Record{Levels: kind.levels.sorted(), Always: kind.fields.sorted()}
	}
	if diff := gocmp.Diff(want, seen); diff != "" {
		t.Errorf("log records (-contract +library):\n%s", diff)
	}
}

func sorted(sets map[string]names) map[string][]string {
	all := make(map[string][]string)
	for key, set := range sets {
		all[key] = set.sorted()
	}
	return all
}

// TestValuesAreNamedOnce keeps sets apart that only look alike.
func TestValuesAreNamedOnce(t *testing.T) {
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	used := names{}
	for _, part := range c.Parts {
		for _, m := range part.Metrics {
			for _, set := range m.Labels {
				used[set] = true
			}
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(c.Values), cmp.Compare[string]) {
		if v := c.Values[name]; !used[name] || v.Meaning == "" || (v.Application == "") != (v.Most == 0) {
			t.Errorf("the set %s is not used, has no meaning, or does not say how many values an application may have", name)
		}
	}
}
