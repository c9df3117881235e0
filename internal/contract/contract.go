// Package contract reads docs/contract.yaml: the names, types, units, labels, spans and log records that dashboards,
// alerts, the desk and services in any language agree on. docs/telemetry.md is made of it, tests hold the library to
// it, and "sockscope lint" holds other services to it.
package contract

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/sockscope/sockscope/docs"
)

// Name is the file's name in the folder docs.
const Name = "contract.yaml"

// DefaultPrefix is what the names of metrics, spans and attributes begin with. Those of another transport begin with
// its own name instead.
const DefaultPrefix = "websocket"

// The parts that tools treat in ways of their own.
const (
	Observer = "observer" // what observes an endpoint
	Pipeline = "pipeline" // what exports telemetry, of itself
	Process  = "process"  // what the client libraries of Prometheus export
)

// Contract is everything that is agreed on.
type Contract struct {
	// Resource are the attributes that say whom telemetry is from.
	Resource []Attribute `yaml:"resource"`
	// Values are the sets that labels take their values from, by name.
	Values map[string]Values `yaml:"values"`
	Parts  []Part            `yaml:"parts"`
}

// Attribute is one of a resource.
type Attribute struct {
	Name     string `yaml:"name"`
	Required bool   `yaml:"required,omitempty"`
	Meaning  string `yaml:"meaning"`
}

// Values is a set of values of a label.
type Values struct {
	// Closed are the values that there are, whatever the application is.
	Closed []string `yaml:"closed,flow,omitempty"`
	// Application is what the application's own values are called in tables, as {type}. It is empty if there are none.
	Application string `yaml:"application,omitempty"`
	// Most is how many values of its own an application may reasonably have. More are a sign that they are ids.
	Most    int    `yaml:"most,omitempty"`
	Meaning string `yaml:"meaning"`
}

// All returns the values as they stand in tables.
func (v Values) All() []string {
	all := slices.Clone(v.Closed)
	if v.Application != "" {
		all = append(all, v.Application)
	}
	slices.Sort(all)
	return all
}

// Part is what one kind of program exports.
type Part struct {
	Name    string   `yaml:"name"`
	Meaning string   `yaml:"meaning"`
	Metrics []Metric `yaml:"metrics,omitempty"`
	Spans   []Span   `yaml:"spans,omitempty"`
	Records []Record `yaml:"records,omitempty"`
}

// Type is the type of a metric, in the words of Prometheus' text format.
type Type string

// The types of metrics.
const (
	Counter   Type = "counter"
	Gauge     Type = "gauge"
	Histogram Type = "histogram"
)

// Metric is one metric.
type Metric struct {
	Name string `yaml:"name"`
	Type Type   `yaml:"type"`
	// Unit is a base unit, as seconds, or what is counted, as connections.
	Unit    string `yaml:"unit"`
	Meaning string `yaml:"meaning"`
	// Labels are the names of the sets in Values, by label.
	Labels map[string]string `yaml:"labels,flow,omitempty"`
	// Buckets are the classic buckets of the library. Those of a service may be others, but are of the same unit.
	Buckets []float64 `yaml:"buckets,flow,omitempty"`
	// Required is set where nothing works without it. A service has the others if it has what they tell of.
	Required bool `yaml:"required,omitempty"`
	// NeededBy is filled in from the alerts, the dashboard and the desk.
	NeededBy NeededBy `yaml:"needed_by,omitempty"`
}

// NeededBy are those that show nothing without a metric.
type NeededBy struct {
	Alerts []string `yaml:"alerts,flow,omitempty"`
	Panels []string `yaml:"panels,flow,omitempty"`
	Pages  []string `yaml:"pages,flow,omitempty"`
}

// Span is one kind of span. Words in braces are the application's.
type Span struct {
	Name string `yaml:"name"`
	Kind string `yaml:"kind"`
	// Always are the attributes that each of them has, Sometimes those that it has if there is anything to say.
	Always    []string `yaml:"always,flow,omitempty"`
	Sometimes []string `yaml:"sometimes,flow,omitempty"`
}

// Record is one kind of log record.
type Record struct {
	Message   string   `yaml:"message"`
	Levels    []string `yaml:"levels,flow"`
	Always    []string `yaml:"always,flow,omitempty"`
	Sometimes []string `yaml:"sometimes,flow,omitempty"`
}

// Load returns the contract of this version of the program.
func Load() (*Contract, error) {
	text, err := fs.ReadFile(docs.Files(), Name)
	if err != nil {
		return nil, fmt.Errorf("read the contract: %w", err)
	}
	return Parse(text)
}

// Parse reads a contract. An unknown key is an error, and so are entries that do not fit together.
func Parse(text []byte) (*Contract, error) {
	c := new(Contract)
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the contract: %w", err)
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Contract) validate() error {
	for _, part := range c.Parts {
		seen := make(map[string]bool)
		for _, m := range part.Metrics {
			if seen[m.Name] {
				return fmt.Errorf("contract: %s has the metric %s twice", part.Name, m.Name)
			}
			seen[m.Name] = true
			if err := c.validateMetric(m); err != nil {
				return fmt.Errorf("contract: metric %s of %s: %w", m.Name, part.Name, err)
			}
		}
	}
	return nil
}

func (c *Contract) validateMetric(m Metric) error {
	if !slices.Contains([]Type{Counter, Gauge, Histogram}, m.Type) {
		return fmt.Errorf("type %q is none of counter, gauge and histogram", m.Type)
	}
	if m.Meaning == "" || m.Unit == "" {
		return errors.New("its meaning or its unit is missing")
	}
	if (m.Type == Histogram) != (len(m.Buckets) > 0) {
		return errors.New("a histogram has buckets, and nothing else has")
	}
	if (m.Type == Counter) != strings.HasSuffix(m.Name, "_total") {
		return errors.New("the name of a counter ends with _total, and no other does")
	}
	for _, unit := range []string{"seconds", "bytes", "ratio"} {
		if named := strings.HasSuffix(strings.TrimSuffix(m.Name, "_total"), "_"+unit); named != (m.Unit == unit) {
			return fmt.Errorf("its unit is %s: a metric ends with _seconds, _bytes or _ratio if that is its unit", m.Unit)
		}
	}
	for label, set := range m.Labels {
		if _, ok := c.Values[set]; !ok {
			return fmt.Errorf("label %s takes its values from %q, which is no set of the contract", label, set)
		}
	}
	return nil
}

// Part returns a part by its name.
func (c *Contract) Part(name string) (Part, error) {
	for _, part := range c.Parts {
		if part.Name == name {
			return part, nil
		}
	}
	return Part{}, fmt.Errorf("the contract has no part %q", name)
}

// header is the beginning of the file.
const header = `# The telemetry contract, as data: what docs/telemetry.md is made of, what tests hold the library to, and what
# "sockscope lint" holds a service in any language to.
#
# People write everything but needed_by, which says what shows nothing without a metric: alerts, panels of the
# dashboard, and pages of the desk. "go run ./internal/telemetrydoc" fills it in and puts the file in order.
#
# Names that begin with websocket are those of the transport websocket. Another transport has its own name there, in
# metrics, spans and attributes. What is in braces is the application's.

`

// Text returns the file, with metrics, spans and records in order of their names.
func (c *Contract) Text() ([]byte, error) {
	for _, part := range c.Parts {
		slices.SortFunc(part.Metrics, func(a, b Metric) int { return strings.Compare(a.Name, b.Name) })
		slices.SortFunc(part.Spans, func(a, b Span) int { return strings.Compare(a.Name, b.Name) })
		slices.SortFunc(part.Records, func(a, b Record) int { return strings.Compare(a.Message, b.Message) })
	}
	var b bytes.Buffer
	b.WriteString(header)
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(c), encoder.Close()); err != nil {
		return nil, fmt.Errorf("write the contract: %w", err)
	}
	return b.Bytes(), nil
}

// Of returns the parts with the names that an observer of a transport has.
func (c *Contract) Of(transport string) []Part {
	parts := slices.Clone(c.Parts)
	for i, part := range parts {
		if part.Name == Observer {
			parts[i] = part.of(transport)
		}
	}
	return parts
}

func (p Part) of(transport string) Part {
	rename := func(name string) string {
		for _, separator := range []string{"_", "."} {
			if rest, ok := strings.CutPrefix(name, DefaultPrefix+separator); ok {
				return transport + separator + rest
			}
		}
		return name
	}
	all := func(names []string) []string {
		names = slices.Clone(names)
		for i, name := range names {
			names[i] = rename(name)
		}
		return names
	}
	p.Metrics, p.Spans = slices.Clone(p.Metrics), slices.Clone(p.Spans)
	for i, m := range p.Metrics {
		p.Metrics[i].Name = rename(m.Name)
	}
	for i, s := range p.Spans {
		p.Spans[i].Name, p.Spans[i].Always, p.Spans[i].Sometimes = rename(s.Name), all(s.Always), all(s.Sometimes)
	}
	return p
}

// LabelNames returns the labels of a metric in order.
func (m Metric) LabelNames() []string { return slices.Sorted(maps.Keys(m.Labels)) }
