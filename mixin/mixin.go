package mixin

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Severity says who is told of an alert.
type Severity string

// The severities.
const (
	Critical Severity = "critical" // pages somebody
	Warning  Severity = "warning"  // is shown in the team's channel
	Info     Severity = "info"     // is shown on dashboards
	None     Severity = "none"     // is no alarm: the heartbeat
)

// An Alert is one condition that people are told about, with what they need to act on it.
type Alert struct {
	Name    string
	Symptom bool     // users feel it; otherwise it is a cause of what they feel or soon will
	By      []string // labels of its series, besides alertname, severity and transport
	Levels  []Level
	// KeepFiringFor holds the alert after its condition has passed, where the condition comes and goes.
	KeepFiringFor string
	Thresholds    []Threshold

	Summary     string // without values, so that an incident keeps its title
	Description string // with values
	Meaning     string // what is the case when it fires
	First       string // what to do first
	Panel       string // the title of the dashboard's panel that shows it, if there is one
}

// A Level is a condition of an alert and how bad it is. An alert with several levels is one rule for each.
type Level struct {
	Severity Severity
	Expr     string
	For      string
}

// A Threshold is a number in an alert's expressions that depends on the service. In the text of an expression it is
// written as $name.
type Threshold struct {
	Name    string
	Value   float64
	Meaning string
}

// A Record is an expression under a name, for several alerts, or for dashboards.
type Record struct {
	Name   string
	Expr   string
	Labels map[string]string
}

// A Group is evaluated in order, records before alerts.
type Group struct {
	Name      string
	Transport string // the prefix of its metrics; empty for what all transports share
	About     string
	Interval  string
	Records   []Record
	Alerts    []Alert
}

// Groups returns everything that is defined, for a configuration: the groups of each transport, then the groups that
// all transports share. The text of expressions is final.
func Groups(c Config) ([]Group, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	perTransport, shared := c.definitions()
	var groups []Group
	for _, transport := range c.Transports {
		for _, g := range perTransport {
			expanded, err := c.expand(g, transport)
			if err != nil {
				return nil, err
			}
			groups = append(groups, expanded)
		}
	}
	for _, g := range shared {
		expanded, err := c.expand(g, "")
		if err != nil {
			return nil, err
		}
		groups = append(groups, expanded)
	}
	return groups, nil
}

// definitions returns the groups as they are written down: those that each transport has, and those that all share.
func (c Config) definitions() (perTransport, shared []Group) {
	perTransport = append([]Group{transportGroup()}, c.sloGroups("$P", transportObjectives())...)
	shared = append([]Group{clientGroup(), probeGroup(), processGroup(c.Transports), hostGroup(), pipelineGroup(), logGroup()},
		c.sloGroups("users", userObjectives())...)
	return perTransport, shared
}

// Thresholds returns the thresholds of all alerts with the values that the configuration gives them, by name.
func Thresholds(c Config) (map[string]float64, error) {
	values := make(map[string]float64)
	perTransport, shared := c.definitions()
	for _, g := range append(perTransport, shared...) {
		for _, a := range g.Alerts {
			for _, t := range a.Thresholds {
				values[t.Name] = t.Value
			}
		}
	}
	for name, value := range c.Thresholds {
		if _, ok := values[name]; !ok {
			return nil, fmt.Errorf("there is no threshold %q", name)
		}
		values[name] = value
	}
	return values, nil
}

// Alerts returns each alert once, whatever the number of transports, with all its levels.
func Alerts(c Config) ([]Alert, error) {
	groups, err := Groups(c)
	if err != nil {
		return nil, err
	}
	var alerts []Alert
	seen := make(map[string]string) // the transport whose levels an alert has
	for _, g := range groups {
		for _, a := range g.Alerts {
			i := slices.IndexFunc(alerts, func(b Alert) bool { return b.Name == a.Name })
			switch {
			case i < 0:
				seen[a.Name] = g.Transport
				alerts = append(alerts, a)
			case seen[a.Name] == g.Transport:
				alerts[i].Levels = append(slices.Clone(alerts[i].Levels), a.Levels...)
			}
		}
	}
	return alerts, nil
}

// expand makes the text of a group final.
func (c Config) expand(g Group, transport string) (Group, error) {
	thresholds, err := Thresholds(c)
	if err != nil {
		return Group{}, err
	}
	unknown := ""
	text := func(s string) string {
		s = placeholder.ReplaceAllStringFunc(s, func(found string) string {
			switch name := found[1:]; name {
			case "P":
				return transport
			case "ns":
				return c.NamespaceLabel
			case "by":
				return "job, " + c.NamespaceLabel
			default:
				value, ok := thresholds[name]
				if !ok {
					unknown = name
				}
				return strconv.FormatFloat(value, 'f', -1, 64)
			}
		})
		return s
	}
	expr := func(s string) string {
		return faster(withSelector(dedent(text(s)), c.Selector), c.Speed)
	}
	g.Name, g.Transport = text(g.Name), transport
	g.Interval = faster(g.Interval, c.Speed)
	g.Records = slices.Clone(g.Records)
	for i, r := range g.Records {
		g.Records[i] = Record{Name: text(r.Name), Expr: expr(r.Expr), Labels: make(map[string]string)}
		for name, value := range r.Labels {
			g.Records[i].Labels[name] = text(value)
		}
	}
	g.Alerts = slices.Clone(g.Alerts)
	for i, a := range g.Alerts {
		a.By = strings.Split(text(strings.Join(a.By, ", ")), ", ")
		a.Levels = slices.Clone(a.Levels)
		for j, l := range a.Levels {
			a.Levels[j] = Level{Severity: l.Severity, Expr: expr(l.Expr), For: faster(l.For, c.Speed)}
		}
		a.KeepFiringFor = faster(a.KeepFiringFor, c.Speed)
		a.Summary = c.annotation(a.Summary)
		a.Description = c.annotation(a.Description)
		a.Meaning = text(a.Meaning)
		g.Alerts[i] = a
	}
	if unknown != "" {
		return Group{}, fmt.Errorf("group %s: no alert has the threshold %q", g.Name, unknown)
	}
	return g, nil
}

// annotation replaces {job} and the like by what Prometheus replaces with the value of the label.
func (c Config) annotation(s string) string {
	return label.ReplaceAllStringFunc(s, func(found string) string {
		name := strings.Trim(found, "{}")
		if name == "namespace" {
			name = c.NamespaceLabel
		}
		return "{{ $labels." + name + " }}"
	})
}

var (
	placeholder = regexp.MustCompile(`\$(P|ns|by|[a-z_]+)`)
	label       = regexp.MustCompile(`\{[a-z_]+\}`)
	duration    = regexp.MustCompile(`\b[0-9]+(ms|s|m|h|d|w)\b`)
)

// faster divides every duration in an expression by the factor.
func faster(s string, factor int) string {
	if factor <= 1 {
		return s
	}
	units := map[string]int{"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
	return duration.ReplaceAllStringFunc(s, func(found string) string {
		unit := strings.TrimLeft(found, "0123456789")
		n, err := strconv.Atoi(strings.TrimSuffix(found, unit))
		if err != nil || n == 0 {
			return found
		}
		return strconv.Itoa(max(1, n*units[unit]/factor)) + "ms"
	})
}

// dedent takes off what all lines are indented by.
func dedent(s string) string {
	lines := strings.Split(strings.Trim(s, "\n"), "\n")
	indent := -1
	for _, line := range lines {
		if trimmed := strings.TrimLeft(line, "\t "); trimmed != "" && (indent < 0 || len(line)-len(trimmed) < indent) {
			indent = len(line) - len(trimmed)
		}
	}
	for i, line := range lines {
		lines[i] = strings.ReplaceAll(strings.TrimRight(line[min(max(indent, 0), len(line)):], "\t "), "\t", "  ")
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}
