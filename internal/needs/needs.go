// Package needs derives from their own definitions what the alerts, the dashboard and the desk ask of a service's
// metrics. So it can be said what will show nothing if a metric is missing, without a list that somebody has to keep.
package needs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/sockscope/sockscope/mixin"
)

// Need is what an expression has to find to have a result. It is one of a selector, All and Any. A nil Need is that of
// an expression which asks for nothing of a service.
type Need struct {
	// Selector has the matchers of series, also that of the name. Without the series there is no result.
	Selector []*labels.Matcher
	All      []*Need // no result unless all are met
	Any      []*Need // no result unless one of them is met
}

// Met reports whether there is a result, if found tells which selectors find series.
func (n *Need) Met(found func([]*labels.Matcher) bool) bool {
	switch {
	case n == nil:
		return true
	case n.Any != nil:
		return slices.ContainsFunc(n.Any, func(one *Need) bool { return one.Met(found) })
	case n.All != nil:
		return !slices.ContainsFunc(n.All, func(one *Need) bool { return !one.Met(found) })
	default:
		return found(n.Selector)
	}
}

// Unmet returns the selectors for want of which there is no result. Of alternatives that are all unmet, it is the last
// one's: the classic form of a histogram, which every client library has.
func (n *Need) Unmet(found func([]*labels.Matcher) bool) [][]*labels.Matcher {
	if n.Met(found) {
		return nil
	}
	if n.Any != nil {
		return n.Any[len(n.Any)-1].Unmet(found)
	}
	if n.All != nil {
		var unmet [][]*labels.Matcher
		for _, one := range n.All {
			unmet = append(unmet, one.Unmet(found)...)
		}
		return unmet
	}
	return [][]*labels.Matcher{n.Selector}
}

// Selectors returns all selectors.
func (n *Need) Selectors() [][]*labels.Matcher {
	if n == nil {
		return nil
	}
	var all [][]*labels.Matcher
	for _, one := range slices.Concat(n.All, n.Any) {
		all = append(all, one.Selectors()...)
	}
	if n.Selector != nil {
		all = append(all, n.Selector)
	}
	return all
}

// Name returns the matcher of the metric's name, nil if there is none.
func Name(selector []*labels.Matcher) *labels.Matcher {
	i := slices.IndexFunc(selector, func(m *labels.Matcher) bool { return m.Name == labels.MetricName })
	if i < 0 {
		return nil
	}
	return selector[i]
}

// records are what the rules record, by name.
type records map[string][]mixin.Record

// of returns the need of an expression. Series that are recorded stand for what they are made of.
func (r records) of(expr string) (*Need, error) {
	parsed, err := parse(expr)
	if err != nil {
		return nil, err
	}
	return r.node(parsed)
}

// newer is what the parser is too old for, and what may look like it: texts, ranges and offsets.
var newer = regexp.MustCompile(`"[^"]*"|\[[^\]]*\]|offset\s+\w+|\bhistogram_(count|sum)\(|\bhistogram_fraction\([^,]+,[^,]+,|\b[0-9]+(ms|s|m|h|d|w)\b`)

// parse parses an expression. Of what the parser is too old for, it gets the like of: another function that takes and
// returns a vector, and a number for a duration that stands for one. The expression asks for the same series.
func parse(expr string) (parser.Expr, error) {
	older := newer.ReplaceAllStringFunc(expr, func(found string) string {
		switch {
		case strings.HasPrefix(found, "histogram_"):
			return "abs("
		case found[0] >= '0' && found[0] <= '9':
			return "1"
		default:
			return found
		}
	})
	parsed, err := parser.ParseExpr(older)
	if err != nil {
		return nil, fmt.Errorf("read the expression %q: %w", expr, err)
	}
	return parsed, nil
}

func (r records) node(expr parser.Expr) (*Need, error) {
	switch e := expr.(type) {
	case *parser.VectorSelector:
		return r.selector(e)
	case *parser.BinaryExpr:
		left, err := r.node(e.LHS)
		if err != nil || e.Op == parser.LUNLESS {
			return left, err
		}
		right, err := r.node(e.RHS)
		if err != nil {
			return nil, err
		}
		if e.Op == parser.LOR {
			return anyOf(left, right), nil
		}
		return allOf(left, right), nil
	default:
		var parts []*Need
		for _, child := range parser.Children(expr) {
			below, ok := child.(parser.Expr)
			if !ok {
				continue
			}
			need, err := r.node(below)
			if err != nil {
				return nil, err
			}
			parts = append(parts, need)
		}
		return allOf(parts...), nil
	}
}

func (r records) selector(s *parser.VectorSelector) (*Need, error) {
	name := Name(s.LabelMatchers)
	switch {
	case name == nil, name.Value == "up", strings.HasPrefix(name.Value, "ALERTS"):
		return nil, nil // Prometheus' own
	case !strings.Contains(name.Value, ":"):
		return &Need{Selector: s.LabelMatchers}, nil
	}
	var alternatives []*Need
	for _, record := range r[name.Value] {
		if !selects(s.LabelMatchers, record.Labels) {
			continue
		}
		need, err := r.of(record.Expr)
		if err != nil {
			return nil, err
		}
		alternatives = append(alternatives, need)
	}
	if len(alternatives) == 0 {
		return nil, fmt.Errorf("nothing is recorded as %s", name.Value)
	}
	return anyOf(alternatives...), nil
}

// selects reports whether a selector can find what is recorded with labels of its own.
func selects(selector []*labels.Matcher, own map[string]string) bool {
	return !slices.ContainsFunc(selector, func(m *labels.Matcher) bool {
		value, ok := own[m.Name]
		return ok && !m.Matches(value)
	})
}

// allOf needs all that need anything.
func allOf(needs ...*Need) *Need {
	needs = slices.DeleteFunc(needs, func(n *Need) bool { return n == nil })
	switch len(needs) {
	case 0:
		return nil
	case 1:
		return needs[0]
	}
	return &Need{All: needs}
}

// anyOf needs one of those that need anything. The others say nothing of a service: they keep a panel from being empty.
func anyOf(needs ...*Need) *Need {
	needs = slices.DeleteFunc(needs, func(n *Need) bool { return n == nil })
	switch len(needs) {
	case 0:
		return nil
	case 1:
		return needs[0]
	}
	return &Need{Any: needs}
}

// Describe writes a selector as people do.
func Describe(selector []*labels.Matcher) string {
	var name string
	var rest []string
	for _, m := range selector {
		if m.Name == labels.MetricName && m.Type == labels.MatchEqual {
			name = m.Value
			continue
		}
		rest = append(rest, m.String())
	}
	if len(rest) == 0 {
		return name
	}
	return name + "{" + strings.Join(rest, ", ") + "}"
}
