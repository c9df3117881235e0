package mixin

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A Selector is what an expression asks for: a metric and the matchers on its labels, as they are written.
type Selector struct {
	Metric     string
	Matchers   string // without the braces
	start, end int    // of the text in the expression
}

// Selectors returns the selectors of an expression in the order of the text. It knows as much PromQL as the expressions
// here use.
func Selectors(expr string) []Selector {
	var found []Selector
	skip := 0 // up to where the text is a list of labels
	for _, at := range word.FindAllStringSubmatchIndex(expr, -1) {
		text := expr[at[0]:at[1]]
		if at[0] < skip {
			continue
		}
		rest := strings.TrimLeft(expr[at[1]:], " \n")
		if strings.HasPrefix(text, "{") {
			found = append(found, Selector{Matchers: text[1 : len(text)-1], start: at[0], end: at[1]})
			continue
		}
		if text[0] == '"' || text[0] == '[' || text[0] >= '0' && text[0] <= '9' {
			continue
		}
		if slices.Contains([]string{"by", "on", "without", "ignoring", "group_left", "group_right"}, text) {
			if strings.HasPrefix(rest, "(") {
				skip = at[1] + strings.IndexByte(expr[at[1]:], ')')
			}
			continue
		}
		if strings.HasPrefix(rest, "(") || slices.Contains(keywords(), strings.ToLower(text)) {
			continue
		}
		s := Selector{Metric: text, start: at[0], end: at[1]}
		if strings.HasPrefix(expr[at[1]:], "{") {
			length := strings.IndexByte(expr[at[1]:], '}')
			s.Matchers, s.end = expr[at[1]+1:at[1]+length], at[1]+length+1
			skip = s.end
		}
		found = append(found, s)
	}
	return found
}

// keywords are the words that are no metrics though no parenthesis follows.
func keywords() []string {
	return []string{
		"and", "or", "unless", "bool", "offset", "inf", "nan",
		"sum", "min", "max", "avg", "group", "count", "stddev", "stdvar", "topk", "bottomk", "quantile", "count_values",
	}
}

var word = regexp.MustCompile(`"[^"]*"|\{[^}]*\}|\[[^\]]*\]|[0-9]+[a-z.0-9]*|[a-zA-Z_][a-zA-Z0-9_:]*`)

// withSelector adds matchers to every metric that is not recorded here, for what was recorded has them already, and to
// no ALERTS.
func withSelector(expr, matchers string) string {
	if matchers == "" {
		return expr
	}
	var out strings.Builder
	last := 0
	for _, s := range Selectors(expr) {
		if strings.Contains(s.Metric, ":") || s.Metric == "ALERTS" {
			continue
		}
		all := matchers
		if s.Matchers != "" {
			all = s.Matchers + ", " + matchers
		}
		out.WriteString(expr[last:s.start] + s.Metric + "{" + all + "}")
		last = s.end
	}
	return out.String() + expr[last:]
}

// grown is by how much each counter has grown within a window. A counter that appears with a value has grown by it, if
// its process is known to have been without it: it was scraped before, or has started since.
func grown(selector, window string) string {
	return "(\n" + selector + " unless " + selector + " offset " + window +
		"\nand on (job, instance) (up offset " + window + " == 1 or process_start_time_seconds > time() - " + window + ")" +
		"\nor\nincrease(" + selector + "[" + window + "])\n)"
}

// Rates are the rates of all series that the selectors find. Two counters may have series with the same labels: to a
// pattern of names that is an error, and "or" leaves out one of the two. So the series of each selector get a value of
// their own of the label "counter", which a sum leaves out.
func Rates(window string, selectors ...string) string {
	rates := make([]string, len(selectors))
	for i, s := range selectors {
		rates[i] = fmt.Sprintf(`label_replace(rate(%s[%s]), "counter", "%d", "", "")`, s, window, i+1)
	}
	return strings.Join(rates, "\nor\n")
}

// Signals are selectors of one of the Collector's counters, one for each signal. Some of its versions add "_total" to
// the names. Matchers are written as in a selector.
func Signals(counter, matchers string) []string {
	signals := []string{"metric_points", "spans", "log_records"}
	for i, signal := range signals {
		signals[i] = `{__name__=~"otelcol_` + counter + "_" + signal + `(_total)?"`
		if matchers != "" {
			signals[i] += ", " + matchers
		}
		signals[i] += "}"
	}
	return signals
}

// Quantile is a quantile of a histogram over a window, from its native form where there is one, else from the classic
// one. It is one for each combination of the labels in by, or one of everything if that is empty. Matchers are written
// as in a selector.
func Quantile(q, by, metric, matchers, window string) string {
	if matchers != "" {
		matchers = "{" + matchers + "}"
	}
	buckets := "le"
	if by != "" {
		buckets = by + ", le"
	}
	return "histogram_quantile(" + q + ", sum by (" + by + ") (rate(" + metric + matchers + "[" + window + "])))" +
		"\nor\n" +
		"histogram_quantile(" + q + ", sum by (" + buckets + ") (rate(" + metric + "_bucket" + matchers + "[" + window + "])))"
}

// Observations is how many observations a histogram has had within a window.
func Observations(by, metric, matchers, window string) string {
	if matchers != "" {
		matchers = "{" + matchers + "}"
	}
	return "histogram_count(sum by (" + by + ") (increase(" + metric + matchers + "[" + window + "])))" +
		"\nor\n" +
		"sum by (" + by + ") (increase(" + metric + "_count" + matchers + "[" + window + "]))"
}

// share is left by right. Where only one of them has the endpoint's label, as with a service that puts it on some
// metrics only, right is that of the whole job.
func share(left, right string) string {
	return left + " / on ($by) " + right +
		"\nor on ($by)\n" +
		left + " / on (job) group_left () sum by (job) (" + right + ")"
}
