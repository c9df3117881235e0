package dashboards_test

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"gopkg.in/yaml.v3"

	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/internal/tool"
	"github.com/sockscope/sockscope/mixin"
)

// form is which form of histograms a service exports, or a Prometheus takes.
type form int

const (
	both form = iota
	classicOnly
	nativeOnly
)

// A page is what a job exports: a file of metrics.
type page struct {
	path          string
	job, instance string // of series that have none
	without       string // a label that they don't have
}

var (
	library = page{path: "../../instrument/testdata/everything.txt", job: "sockscope-demo", instance: "demo:8080"}
	client  = page{path: "../../instrument/client/testdata/everything.txt", job: "bot", instance: "bot:8080"}
	// Processes and the stack export these of themselves.
	stack = page{path: "testdata/stack.txt"}
	// A small service that is made with prom-client exports these.
	node = page{path: "testdata/node.txt", job: "node-chat", instance: "node:8080"}
)

// Each query of each panel is run by Prometheus' own code, against what services export. It has to return something if
// there is something that it asks for. Series that have everything but the label namespace are found as well.
func TestQueriesReturnWhatThereIs(t *testing.T) {
	for name, given := range map[string]struct {
		pages     []page
		form      form
		transport string
	}{
		"library":                   {[]page{library, client, stack}, both, "websocket"},
		"library, classic only":     {[]page{library, client}, classicOnly, "websocket"},
		"library, native only":      {[]page{library, client}, nativeOnly, "websocket"},
		"prom-client":               {[]page{node}, both, "websocket"},
		"prom-client, no namespace": {[]page{{node.path, node.job, node.instance, "namespace"}}, both, "websocket"},
		"another transport":         {[]page{library}, both, "sse"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, given.pages, given.form, given.transport)
		})
	}
}

// matter are the panels that every service fills, one that exports no more than docs/foreign-services.md asks for as
// well.
var matter = []string{
	"Active Connections", "Connection Rate", "Message Latency (p50/p95/p99)", "Error Rate", "Closes by Reason", "Messages per Second",
	"Handling Times", "Message Latency by Type (p99)", "Broken, of All That Ended", "Handling That Fails",
}

const (
	step     = 30    // seconds between two samples
	samples  = 160   // so that there is more than an hour
	lastTime = "76m" // when rules are evaluated
)

// run has promtool evaluate all queries.
func run(t *testing.T, pages []page, form form, transport string) {
	t.Helper()
	config := mixin.Default()
	config.Transports = []string{transport}
	rules, err := mixin.Files(config)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var test struct {
		RuleFiles []string `yaml:"rule_files"`
		Interval  string   `yaml:"evaluation_interval"`
		Tests     [1]struct {
			Interval string              `yaml:"interval"`
			Series   []map[string]string `yaml:"input_series"`
			Exprs    []map[string]any    `yaml:"promql_expr_test"`
		} `yaml:"tests"`
	}
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		write(t, filepath.Join(dir, name), rules[name])
		test.RuleFiles = append(test.RuleFiles, name)
	}
	test.Interval = "2m" // of rules: often enough for what is drawn
	test.Tests[0].Interval = fmt.Sprintf("%ds", step)
	given := make(exported)
	for _, p := range pages {
		for _, s := range p.series(t, form, transport) {
			given.add(s.name, sample{s.labels, false})
			test.Tests[0].Series = append(test.Tests[0].Series, map[string]string{"series": s.name + s.labels.String(), "values": s.values})
		}
	}
	given.addRecorded(t, config)
	for _, board := range boards(t, config) {
		for _, panel := range board.AllPanels() {
			var found []string
			for _, query := range queries(t, board, transport) {
				if query.Panel != panel.Title || query.Datasource != "prometheus" {
					continue
				}
				if given.have(query.Expr) || slices.Contains(matter, panel.Title) {
					found = append(found, query.Expr)
				}
			}
			if len(found) == 0 {
				continue
			}
			if panel.Type == "heatmap" { // has its data by one of them
				found = []string{"(" + strings.Join(found, "\n) or (\n") + ")"}
			}
			for _, expr := range found {
				test.Tests[0].Exprs = append(test.Tests[0].Exprs, map[string]any{
					"expr":      "# " + board.Title + ": " + panel.Title + "\ncount(\n" + expr + "\n) > bool 0",
					"eval_time": lastTime, "exp_samples": []any{map[string]any{"labels": "{}", "value": 1}},
				})
			}
		}
	}
	text, err := yaml.Marshal(test)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "queries.yml"), string(text))
	if out, err := exec.Command(tool.Path(t, "promtool"), "test", "rules", filepath.Join(dir, "queries.yml")).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// queries are those of a dashboard with all that its variables offer.
func queries(t *testing.T, board *dashboard.Dashboard, transport string) []dashboard.Query {
	t.Helper()
	all, err := board.Queries(map[string]string{
		"transport": transport, "__rate_interval": "2m", "__interval": "30s", "__range": "15m", "__auto": "1m",
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A series is one with its values, in the notation of promtool.
type series struct {
	name   string
	labels model.LabelSet
	values string
}

// series returns what a page exports over time: counters that grow by what they have with each sample, and at least by
// one, and gauges that stay.
func (p page) series(t *testing.T, form form, transport string) []series {
	t.Helper()
	file, err := os.Open(p.path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []series
	for _, family := range families {
		name := family.GetName()
		if rest, ok := strings.CutPrefix(name, "websocket_"); ok && !strings.HasPrefix(rest, "client_") && !strings.HasPrefix(rest, "probe") {
			name = transport + "_" + rest
		}
		for _, m := range family.Metric {
			labels := model.LabelSet{"job": model.LabelValue(p.job), "instance": model.LabelValue(p.instance)}
			for _, l := range m.Label {
				if l.GetName() != p.without {
					labels[model.LabelName(l.GetName())] = model.LabelValue(l.GetValue())
				}
			}
			add := func(suffix string, more model.LabelSet, values string) {
				all = append(all, series{name + suffix, labels.Merge(more), values})
			}
			switch family.GetType() {
			case dto.MetricType_COUNTER:
				add("", nil, growing(max(1, m.Counter.GetValue())))
			case dto.MetricType_GAUGE:
				add("", nil, gauge(name, m.Gauge.GetValue()))
			case dto.MetricType_SUMMARY:
				for _, q := range m.Summary.Quantile {
					add("", model.LabelSet{"quantile": model.LabelValue(fmt.Sprint(q.GetQuantile()))}, fmt.Sprintf("%gx%d", q.GetValue(), samples))
				}
			case dto.MetricType_HISTOGRAM:
				h := m.Histogram
				if form != nativeOnly {
					for _, b := range h.Bucket {
						add("_bucket", model.LabelSet{"le": model.LabelValue(bound(b.GetUpperBound()))}, growing(float64(b.GetCumulativeCount())))
					}
					add("_count", nil, growing(float64(h.GetSampleCount())))
					add("_sum", nil, growing(h.GetSampleSum()))
				}
				if form != classicOnly && p.path != node.path {
					native := fmt.Sprintf("{{schema:0 sum:%g count:%d offset:-3 buckets:[%d]}}", h.GetSampleSum(), h.GetSampleCount(), h.GetSampleCount())
					add("", nil, fmt.Sprintf("%s+%sx%d", native, native, samples))
				}
			}
		}
	}
	if p != stack && (p != library || form != both || transport != "websocket") { // the stack's page has it for that one
		labels := model.LabelSet{"job": model.LabelValue(p.job), "instance": model.LabelValue(p.instance)}
		all = append(all, series{"up", labels, fmt.Sprintf("1x%d", samples)}, series{"process_start_time_seconds", labels, fmt.Sprintf("-9000x%d", samples)})
	}
	slices.SortFunc(all, func(a, b series) int { return cmp.Compare(a.name+a.labels.String(), b.name+b.labels.String()) })
	return all
}

func growing(by float64) string { return fmt.Sprintf("%g+%gx%d", by, by, samples) }

// gauge stays what it is, but for times of what has just happened.
func gauge(name string, value float64) string {
	if strings.HasSuffix(name, "last_message_timestamp_seconds") {
		return fmt.Sprintf("0+%dx%d", step, samples)
	}
	switch {
	case strings.HasSuffix(name, "_active_connections"):
		value = max(1, value)
	case name == "process_start_time_seconds":
		value = -9000
	case strings.HasSuffix(name, "_draining"): // else no connection counts as broken
		value = 0
	}
	return fmt.Sprintf("%gx%d", value, samples)
}

func bound(v float64) string {
	if math.IsInf(v, 1) {
		return "+Inf"
	}
	return fmt.Sprint(v)
}

// exported has the series that there are, by name.
type exported map[string][]sample

// A sample is the labels of a series. Of what rules record, only those that the rule says are known.
type sample struct {
	labels   model.LabelSet
	recorded bool
}

func (e exported) add(name string, s sample) { e[name] = append(e[name], s) }

// addRecorded adds what rules make of what there is.
func (e exported) addRecorded(t *testing.T, c mixin.Config) {
	t.Helper()
	groups, err := mixin.Groups(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups { // in which those come first that others are made of
		for _, r := range g.Records {
			if e.have(r.Expr) {
				labels := make(model.LabelSet)
				for name, value := range r.Labels {
					labels[model.LabelName(name)] = model.LabelValue(value)
				}
				e.add(r.Name, sample{labels, true})
			}
		}
	}
}

// have reports whether there is everything that an expression asks for. Alerts are there if everything goes wrong.
func (e exported) have(expr string) bool {
	_, everything := e["otelcol_exporter_queue_size"]
	for _, s := range mixin.Selectors(expr) {
		if strings.HasSuffix(s.Metric, "_draining") && strings.Contains(expr, "unless") {
			continue // only takes away
		}
		if strings.HasPrefix(s.Metric, "ALERTS") {
			if !everything {
				return false
			}
			continue
		}
		if !slices.ContainsFunc(e.named(s), func(have sample) bool { return have.matches(s.Matchers) }) {
			return false
		}
	}
	return true
}

// named returns the series of the metric, in either form if it is a histogram.
func (e exported) named(s mixin.Selector) []sample {
	if s.Metric == "" {
		var all []sample
		for name, series := range e {
			for _, one := range series {
				all = append(all, sample{one.labels.Merge(model.LabelSet{"__name__": model.LabelValue(name)}), one.recorded})
			}
		}
		return all
	}
	base := regexp.MustCompile(`_(bucket|count|sum)$`).ReplaceAllString(s.Metric, "")
	return slices.Concat(e[s.Metric], e[base], e[base+"_count"])
}

var matcher = regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)

func (s sample) matches(matchers string) bool {
	for _, m := range matcher.FindAllStringSubmatch(matchers, -1) {
		value, known := s.labels[model.LabelName(m[1])]
		if s.recorded && !known {
			continue
		}
		equal := string(value) == m[3]
		if strings.HasSuffix(m[2], "~") {
			equal = regexp.MustCompile("^(?:" + m[3] + ")$").MatchString(string(value))
		}
		if equal == strings.HasPrefix(m[2], "!") {
			return false
		}
	}
	return true
}
