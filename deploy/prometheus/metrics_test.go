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

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/internal/probe"
	"github.com/sockscope/sockscope/internal/tool"
)

// Rule tests feed the rules with series that have the same spelling mistakes as
// the rules. This compares what rules, dashboards, data sources and runbooks ask
// for with what the library and the probe export: names, labels, and the values
// of labels.
func TestQueriesAskForWhatIsExported(t *testing.T) {
	exported := exportedMetrics(t)
	recorded := make(map[string]bool)
	for _, rule := range rules(t) {
		recorded[rule.Record] = true
	}
	for where, queries := range allQueries(t) {
		for _, selector := range selectors(queries) {
			if !strings.Contains(selector.name, "websocket_") && !strings.Contains(selector.name, "sockscope_") {
				continue // another's metric, or no metric
			}
			if strings.Contains(selector.name, ":") {
				if !recorded[selector.name] {
					t.Errorf("%s: no rule records %s", where, selector.name)
				}
				continue
			}
			name := selector.name
			if exported[name] == nil {
				name = histogramPart.ReplaceAllString(name, "")
			}
			labels := exported[name]
			if labels == nil {
				t.Errorf("%s: nobody exports %s", where, selector.name)
				continue
			}
			for _, m := range selector.matchers {
				values, ok := labels[m.label]
				if !ok {
					t.Errorf("%s: %s has no label %s", where, name, m.label)
				}
				for _, value := range strings.Split(m.value, "|") {
					if len(values) > 0 && !values[value] && !strings.HasPrefix(value, "$") {
						t.Errorf("%s: %s of %s is never %q", where, m.label, name, value)
					}
				}
			}
		}
	}
}

// promtool parses what is no rule as if it were one.
func TestQueriesParse(t *testing.T) {
	var rules strings.Builder
	add := func(expr string) {
		fmt.Fprintf(&rules, "  - record: query_%d\n    expr: %q\n", rules.Len(), expr)
	}
	rules.WriteString("groups:\n- name: queries\n  rules:\n")
	board, err := dashboard.Load(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	queries, err := board.Queries(map[string]string{
		"job": ".+", "namespace": ".+", "instance": ".+", "__rate_interval": "1m", "__auto": "1m",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range queries {
		if query.Datasource == "prometheus" {
			add(query.Expr)
		}
	}
	for _, path := range files(t, runbooks+"/*.md") {
		for _, block := range codeBlock.FindAllStringSubmatch(read(t, path), -1) {
			if expr := strings.TrimSpace(block[1]); !strings.HasPrefix(expr, "{") { // LogQL
				add(expr)
			}
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

func TestSelectors(t *testing.T) {
	got := selectors(`sum by (job) (rate(a_total{b=~"c|d", e!="f"}[5m])) / x:y_z:sum > on () g`)
	for _, want := range []selector{
		{name: "a_total", matchers: []matcher{{"b", "c|d"}, {"e", "f"}}}, {name: "x:y_z:sum"}, {name: "g"},
	} {
		if !slices.ContainsFunc(got, func(s selector) bool {
			return s.name == want.name && slices.Equal(s.matchers, want.matchers)
		}) {
			t.Errorf("%+v is not among %+v", want, got)
		}
	}
}

// allQueries returns everything that is written in PromQL, by where it is
// written.
func allQueries(t *testing.T) map[string]string {
	t.Helper()
	queries := make(map[string]string)
	for _, rule := range rules(t) {
		queries["rule "+rule.Record+rule.Alert] = rule.Expr
	}
	board, err := dashboard.Load(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, panel := range board.AllPanels() {
		for _, target := range panel.Targets {
			queries["panel "+panel.Title] += target.Expr + "\n"
		}
	}
	for _, variable := range board.Templating.List {
		queries["variable "+variable.Name] = strings.ReplaceAll(string(variable.Query), `\"`, `"`)
	}
	for _, path := range files(t, "../grafana/provisioning/datasources/*.yaml") {
		queries[path] = read(t, path)
	}
	for _, path := range files(t, runbooks+"/*.md") {
		queries[path] = read(t, path)
	}
	return queries
}

type selector struct {
	name     string
	matchers []matcher
}

type matcher struct{ label, value string }

var (
	nameAndMatchers = regexp.MustCompile(`([a-zA-Z_][\w:]*)(\{[^{}]*\})?`)
	labelAndValue   = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"`)
	codeBlock       = regexp.MustCompile("(?s)```\n(.*?)```")
	histogramPart   = regexp.MustCompile(`_(bucket|count|sum)$`)
)

// selectors finds the selectors in PromQL, and some words that are none.
func selectors(text string) []selector {
	var found []selector
	for _, groups := range nameAndMatchers.FindAllStringSubmatch(text, -1) {
		s := selector{name: groups[1]}
		for _, m := range labelAndValue.FindAllStringSubmatch(groups[2], -1) {
			s.matchers = append(s.matchers, matcher{m[1], m[2]})
		}
		found = append(found, s)
	}
	return found
}

// exportedMetrics returns the labels of each metric that an Observer, a Prober or
// the Collector's count exports, with their values where the set of them is closed.
func exportedMetrics(t *testing.T) map[string]map[string]map[string]bool {
	t.Helper()
	observer, err := instrument.New(instrument.WithNamespace("chat"), instrument.WithConnectionLimit(1))
	if err != nil {
		t.Fatal(err)
	}
	prober, err := probe.New(probe.Config{Targets: []probe.Target{{Name: "demo"}}, Interval: 1, Timeout: 1})
	if err != nil {
		t.Fatal(err)
	}

	metrics := make(map[string]map[string]map[string]bool)
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		observer.Describe(descriptions)
		prober.Describe(descriptions)
	}()
	parts := regexp.MustCompile(`fqName: "(\w+)".*constLabels: \{(.*)\}, variableLabels: \{(.*)\}`)
	for description := range descriptions {
		found := parts.FindStringSubmatch(description.String())
		if found == nil {
			t.Fatalf("cannot read %s", description)
		}
		labels := map[string]map[string]bool{"job": nil, "instance": nil, "le": nil}
		for _, label := range regexp.MustCompile(`(\w+)(="[^"]*")?`).FindAllStringSubmatch(found[2]+","+found[3], -1) {
			labels[label[1]] = make(map[string]bool)
		}
		metrics[found[1]] = labels
	}

	// A message each way, and an end of each kind: before the first one they are not exported.
	for reason := instrument.ReasonOther; reason <= instrument.ReasonShutdown; reason++ {
		_, handshake := observer.BeginHandshake(t.Context(), instrument.Request{})
		conn := handshake.Opened(101)
		conn.Received(observer.MessageType("message"), 1)
		conn.Sent(observer.MessageType("message"), 1)
		conn.Closed(instrument.Cause{Initiator: instrument.InitiatorLocal, Reason: reason})
	}

	registry := prometheus.NewPedanticRegistry()
	for _, collector := range []prometheus.Collector{observer, prober} {
		if err := registry.Register(collector); err != nil {
			t.Fatal(err)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	open := []string{"namespace", "type", "target"} // what the application chooses
	for _, family := range families {
		for _, metric := range family.Metric {
			for _, label := range metric.Label {
				if !slices.Contains(open, label.GetName()) {
					metrics[family.GetName()][label.GetName()][label.GetValue()] = true
				}
			}
		}
	}
	for _, counted := range regexp.MustCompile(`(?m)^ +(sockscope_refused_\w+):$`).FindAllStringSubmatch(read(t, "../otel-collector/config.yaml"), -1) {
		metrics[counted[1]] = map[string]map[string]bool{"job": nil, "instance": nil, "reason": nil}
	}
	return metrics
}
