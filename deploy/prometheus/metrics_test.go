package prometheus_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sockscope/sockscope/internal/contract"
	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/internal/tool"
	"github.com/sockscope/sockscope/mixin"
)

// Rule tests feed the rules with series that have the same spelling mistakes as the rules. This compares what rules,
// dashboards, data sources and runbooks ask for with what is exported: names, labels, and the values of labels. Our own
// names come from docs/contract.yaml, which tests hold the code to, and the components' by testdata/components.txt,
// which was taken from them.
func TestQueriesAskForWhatIsExported(t *testing.T) {
	exported := exportedMetrics(t)
	recorded := make(map[string]bool)
	for _, rule := range rules(t) {
		recorded[rule.Record] = true
	}
	used := make(map[string]bool)
	for where, queries := range allQueries(t) {
		for _, query := range queries {
			for _, selector := range mixin.Selectors(query) {
				if strings.HasPrefix(selector.Metric, "ALERTS") {
					continue
				}
				if strings.Contains(selector.Metric, ":") {
					if !recorded[selector.Metric] {
						t.Errorf("%s: no rule records %s", where, selector.Metric)
					}
					continue
				}
				for _, name := range names(selector) {
					used[name] = true
					if problem := exported.lacks(name, matchersOf(selector.Matchers)); problem != "" {
						t.Errorf("%s: %s", where, problem)
					}
				}
			}
		}
	}
	for name, metric := range exported {
		if metric.ours && !used[name] && unused[name] == "" {
			t.Errorf("%s is used by no rule, dashboard or runbook: use it, or say in unused why it is exported", name)
		}
		if used[name] && unused[name] != "" {
			t.Errorf("%s is used: take it out of unused", name)
		}
	}
}

// unused is why metrics are exported that no rule, dashboard or runbook asks for.
var unused = map[string]string{
	"demo_game_tick_lateness_seconds":      "the demo's game alone has it, and docs/protocol.md says what it tells",
	"promhttp_metric_handler_errors_total": "client_golang's own, for people who find a page of metrics incomplete",
}

// promtool parses what is no rule as if it were one.
func TestQueriesParse(t *testing.T) {
	var rules strings.Builder
	add := func(expr string) {
		fmt.Fprintf(&rules, "  - record: query_%d\n    expr: %q\n", rules.Len(), expr)
	}
	rules.WriteString("groups:\n- name: queries\n  rules:\n")
	for _, query := range dashboardQueries(t) {
		add(query.Expr)
	}
	for _, expr := range annotationQueries(t) {
		add(expr)
	}
	for _, path := range files(t, runbooks+"/*.md") {
		for _, expr := range codeBlocks(read(t, path)) {
			add(expr)
		}
	}
	path := filepath.Join(t.TempDir(), "queries.yml")
	if err := os.WriteFile(path, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tool.Path(t, "promtool"), "check", "rules", path).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// ofSeveral finds functions that take the names away from series of several names.
var ofSeveral = regexp.MustCompile(`\b(rate|irate|increase|delta|resets|changes|\w+_over_time)\(\{[^}]*__name__=~"[^"]*\|`)

// TestSeriesStayApart wants no function of series with several names. If two have the same labels, that is an error.
func TestSeriesStayApart(t *testing.T) {
	for where, queries := range allQueries(t) {
		for _, query := range queries {
			if found := ofSeveral.FindString(query); found != "" {
				t.Errorf("%s has %s…: take the rates of each name, as mixin.Rates does", where, found)
			}
		}
	}
}

// allQueries returns everything that is written in PromQL, by where it is written.
func allQueries(t *testing.T) map[string][]string {
	t.Helper()
	queries := make(map[string][]string)
	for _, rule := range rules(t) {
		where := "rule " + rule.Record + rule.Alert
		queries[where] = append(queries[where], rule.Expr)
	}
	for _, query := range dashboardQueries(t) {
		queries["panel "+query.Panel] = append(queries["panel "+query.Panel], query.Expr)
	}
	for where, expr := range annotationQueries(t) {
		queries[where] = append(queries[where], expr)
	}
	for _, path := range files(t, runbooks+"/*.md") {
		queries[path] = codeBlocks(read(t, path))
	}
	return queries
}

// annotationQueries returns what dashboards mark in their panels.
func annotationQueries(t *testing.T) map[string]string {
	t.Helper()
	queries := make(map[string]string)
	for _, path := range files(t, dashboards+"/*.json") {
		board, err := dashboard.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range board.Annotations.List {
			if a.Expr == "" {
				continue
			}
			expr, err := dashboard.Expand(a.Expr, func(string, string) (string, error) { return ".*", nil })
			if err != nil {
				t.Fatal(err)
			}
			queries["annotation "+a.Name+" of "+board.Title] = expr
		}
	}
	return queries
}

// dashboardQueries returns those in PromQL.
func dashboardQueries(t *testing.T) []dashboard.Query {
	t.Helper()
	var all []dashboard.Query
	for _, path := range files(t, dashboards+"/*.json") {
		board, err := dashboard.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		queries, err := board.Queries(map[string]string{"__rate_interval": "1m", "__range": "1h", "__auto": "1m"})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, queries...)
	}
	return slices.DeleteFunc(all, func(q dashboard.Query) bool { return q.Datasource != "prometheus" })
}

// codeBlocks returns the PromQL in a page.
func codeBlocks(page string) []string {
	var found []string
	for _, block := range codeBlock.FindAllStringSubmatch(page, -1) {
		if expr := strings.TrimSpace(block[1]); !strings.HasPrefix(expr, "{") { // LogQL
			found = append(found, expr)
		}
	}
	return found
}

type matcher struct {
	label, operator string
	values          []string
}

var (
	labelAndValue = regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	codeBlock     = regexp.MustCompile("(?ms)^ *```(?:promql)?\n(.*?)^ *```")
	histogramPart = regexp.MustCompile(`_(bucket|count|sum)$`)
	alternatives  = regexp.MustCompile(`\(([^()]*)\)`)
)

func matchersOf(text string) []matcher {
	var found []matcher
	for _, m := range labelAndValue.FindAllStringSubmatch(text, -1) {
		values := []string{m[3]}
		if strings.HasSuffix(m[2], "~") {
			values = strings.Split(m[3], "|")
		}
		found = append(found, matcher{m[1], m[2], values})
	}
	return found
}

// names returns the metrics that a selector asks for, under the names that docs/contract.yaml has: those of other
// transports as websocket, and of a histogram without its parts. A metric that some versions call _total counts without
// it.
func names(s mixin.Selector) []string {
	all := []string{s.Metric}
	if s.Metric == "" {
		for _, m := range matchersOf(s.Matchers) {
			if m.label == "__name__" {
				all = []string{strings.TrimSuffix(strings.Join(m.values, "|"), "(_total)?")}
			}
		}
		all = spelledOut(all[0])
	}
	for i, name := range all {
		for _, transport := range mixin.Default().Transports {
			if rest, ok := strings.CutPrefix(name, transport+"_"); ok {
				all[i] = "websocket_" + rest
			}
		}
	}
	return all
}

// spelledOut returns what a pattern of names in parentheses and bars matches.
func spelledOut(pattern string) []string {
	group := alternatives.FindStringSubmatchIndex(pattern)
	if group == nil {
		return strings.Split(pattern, "|")
	}
	var all []string
	for _, one := range strings.Split(pattern[group[2]:group[3]], "|") {
		all = append(all, spelledOut(pattern[:group[0]]+one+pattern[group[1]:])...)
	}
	return all
}

type metric struct {
	ours   bool
	labels map[string]map[string]bool // the values; none where the set is open
}

type metrics map[string]metric

// lacks says what there is not of a metric with these matchers.
func (m metrics) lacks(name string, matchers []matcher) string {
	if _, ok := m[name]; !ok {
		name = histogramPart.ReplaceAllString(name, "")
	}
	known, ok := m[name]
	if !ok {
		return "nobody exports " + name
	}
	for _, asked := range matchers {
		if slices.Contains([]string{"__name__", "job", "instance", "le"}, asked.label) {
			continue
		}
		values, ok := known.labels[asked.label]
		if !ok {
			return fmt.Sprintf("%s has no label %s", name, asked.label)
		}
		for _, value := range asked.values {
			if len(values) > 0 && !values[value] && value != ".*" {
				return fmt.Sprintf("%s of %s is never %q", asked.label, name, value)
			}
		}
	}
	return ""
}

// exportedMetrics reads what is exported by the library, by the Collector's count, and by the components.
func exportedMetrics(t *testing.T) metrics {
	t.Helper()
	all := make(metrics)
	promised, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range promised.Parts {
		if part.Name == contract.Process {
			continue // is told by testdata/components.txt
		}
		for _, m := range part.Metrics {
			if _, ok := all[m.Name]; !ok {
				all[m.Name] = metric{ours: true, labels: make(map[string]map[string]bool)}
			}
			for label, set := range m.Labels {
				if all[m.Name].labels[label] == nil {
					all[m.Name].labels[label] = make(map[string]bool)
				}
				if promised.Values[set].Application != "" {
					continue // an open set
				}
				for _, value := range promised.Values[set].Closed {
					all[m.Name].labels[label][value] = true
				}
			}
		}
	}
	for _, counted := range regexp.MustCompile(`(?m)^ +(sockscope_(refused|log)_\w+):$`).FindAllStringSubmatch(read(t, "../otel-collector/config.yaml"), -1) {
		all[counted[1]] = metric{labels: map[string]map[string]bool{}}
		if counted[2] == "refused" {
			all[counted[1]].labels["reason"] = nil
		}
	}
	for line := range strings.Lines(read(t, "testdata/components.txt")) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		one := metric{labels: make(map[string]map[string]bool)}
		for _, label := range fields[1:] {
			name, values, closed := strings.Cut(label, "=")
			one.labels[name] = make(map[string]bool)
			if closed {
				for _, value := range strings.Split(values, "|") {
					one.labels[name][value] = true
				}
			}
		}
		all[fields[0]] = one
	}
	if len(all) < 50 {
		t.Fatalf("%d metrics are too few", len(all))
	}
	return all
}
