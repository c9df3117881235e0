package mixin

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sockscope/sockscope/internal/tool"
)

// TestAlerts has each alert meet the situations that it fires in and those that it comes close to.
func TestAlerts(t *testing.T) {
	promtool := tool.Path(t, "promtool")
	c := testConfig()
	groups := testGroups(t, c)
	situations := Situations()
	for _, name := range alertNames(groups) {
		if name == "Watchdog" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trial := newTrial(c, groups, name)
			mine := trial.concerning(situations)
			fires, quiet := false, false
			for _, s := range mine {
				quiet = quiet || slices.Contains(s.Control, name)
				for _, w := range s.Want {
					fires = fires || slices.ContainsFunc(w.Firing, func(f string) bool { return strings.HasPrefix(f, name+"/") })
				}
			}
			if !fires || !quiet && !alwaysTold(name) {
				t.Errorf("it fires: %v; it stays quiet where it comes close: %v", fires, quiet)
			}
			trial.check(t, promtool, mine)
		})
	}
}

// TestOtherServices has rules that are made for services which are unlike ours meet what happens to these.
func TestOtherServices(t *testing.T) {
	promtool := tool.Path(t, "promtool")
	for _, text := range []string{
		"{transports: [sse]}",
		"{transports: [grpc_stream], namespace_label: exported_namespace}",
		`{transports: [socketio], selector: 'cluster="eu", env="prod"'}`,
	} {
		c, err := ParseConfig([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		groups := testGroups(t, c)
		for _, name := range []string{"HighConnectionDropRate", "WebSocketConnectionsCollapsed", "WebSocketSilentInstance", "WebSocketLatencyHigh", "RealtimeTargetMissing"} {
			t.Run(c.Transports[0]+"/"+name, func(t *testing.T) {
				trial := newTrial(c, groups, name)
				trial.check(t, promtool, trial.concerning(Situations()))
			})
		}
	}
}

// check has the alert meet situations, and compares when it fires with when it is to.
func (tr trial) check(t *testing.T, promtool string, situations []Situation) {
	t.Helper()
	fired := tr.run(t, promtool, situations)
	for _, s := range situations {
		for _, w := range s.Want {
			if got, want := fired[moment{s.Name, w.At}], tr.expected(w); got != want {
				t.Errorf("%s: after %s it is %q, want %q", s.Name, w.At, got, want)
			}
		}
	}
}

// alwaysTold is an alert on something that must not happen even once: there is nothing close to it.
func alwaysTold(name string) bool {
	return slices.Contains([]string{"TelemetryLost", "TelemetryRefused", "TelemetryCollectorRefusing", "TelemetryLabelOverflow", "PrometheusConfigBroken", "WebSocketDeliveryLatencyErrorBudgetBurn", "WebSocketClientErrorBudgetBurn"}, name)
}

// testConfig is the default, for one transport: the others' rules are the same.
func testConfig() Config {
	c := Default()
	c.Transports = c.Transports[:1]
	return c
}

func testGroups(t testing.TB, c Config) []Group {
	t.Helper()
	groups, err := Groups(c)
	if err != nil {
		t.Fatal(err)
	}
	return groups
}

func alertNames(groups []Group) []string {
	var names []string
	for _, g := range groups {
		for _, a := range g.Alerts {
			if !slices.Contains(names, a.Name) {
				names = append(names, a.Name)
			}
		}
	}
	return names
}

// A ruleText is a rule with everything that decides when it fires.
type ruleText struct {
	group, record, alert, severity, expr, wait, keep string
	labels                                           map[string]string
}

// ruleTexts returns all rules in the order in which they are evaluated.
func ruleTexts(groups []Group) []ruleText {
	var all []ruleText
	for _, g := range groups {
		for _, r := range g.Records {
			all = append(all, ruleText{group: g.Name, record: r.Name, expr: r.Expr, labels: r.Labels})
		}
		for _, a := range g.Alerts {
			for _, l := range a.Levels {
				labels := map[string]string{"severity": string(l.Severity)}
				if g.Transport != "" {
					labels["transport"] = g.Transport
				}
				all = append(all, ruleText{group: g.Name, alert: a.Name, severity: string(l.Severity), expr: l.Expr, wait: l.For, keep: a.KeepFiringFor, labels: labels})
			}
		}
	}
	return all
}

// A trial is an alert with the records that it needs, in their order.
type trial struct {
	config Config
	alert  string
	by     []string
	rules  []ruleText
}

func newTrial(c Config, groups []Group, alert string) trial {
	tr := trial{config: c, alert: alert}
	all := slices.DeleteFunc(ruleTexts(groups), func(r ruleText) bool { return r.alert != "" && r.alert != alert })
	for _, g := range groups {
		for _, a := range g.Alerts {
			if a.Name == alert {
				tr.by = a.By
			}
		}
	}
	needed := make(map[string]bool)
	for i := len(all) - 1; i >= 0; i-- {
		r := all[i]
		if r.record != "" && !needed[key(r)] && !needed[r.record] {
			continue
		}
		for _, s := range Selectors(r.expr) {
			slo := sloOf.FindStringSubmatch(s.Matchers)
			if slo != nil {
				needed[s.Metric+" "+slo[1]] = true
			} else {
				needed[s.Metric] = true
			}
		}
		tr.rules = append(tr.rules, r)
	}
	slices.Reverse(tr.rules)
	return tr
}

var sloOf = regexp.MustCompile(`slo="(\w+)"`)

func key(r ruleText) string { return r.record + " " + r.labels["slo"] }

// concerning returns the situations in which the alert fires or comes close to it.
func (tr trial) concerning(all []Situation) []Situation {
	return slices.DeleteFunc(slices.Clone(all), func(s Situation) bool {
		if slices.Contains(s.Control, tr.alert) {
			return false
		}
		return !slices.ContainsFunc(s.Want, func(w Want) bool { return tr.expected(w) != "" })
	})
}

// expected is the severities at which the alert is to fire.
func (tr trial) expected(w Want) string {
	var severities []string
	for _, f := range w.Firing {
		if name, severity, _ := strings.Cut(f, "/"); name == tr.alert {
			severities = append(severities, severity)
		}
	}
	slices.Sort(severities)
	return strings.Join(severities, "+")
}

// A moment is one of a situation.
type moment struct{ situation, at string }

// run has promtool evaluate the alert, and returns the severities at which it fires by moment.
//
// The situations of one step are in one test. They are kept apart by their labels, so that each rule is evaluated once
// for all of them.
func (tr trial) run(t testing.TB, promtool string, situations []Situation) map[moment]string {
	t.Helper()
	dir := t.TempDir()
	var b strings.Builder
	b.WriteString("groups:\n  - name: all\n    rules:\n")
	for _, r := range tr.rules {
		if r.record != "" {
			fmt.Fprintf(&b, "      - record: %s\n", r.record)
		} else {
			fmt.Fprintf(&b, "      - alert: %s\n", r.alert)
			property(&b, "for", r.wait)
			property(&b, "keep_firing_for", r.keep)
		}
		property(&b, "expr", r.expr)
		labels(&b, r.labels)
	}
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("rules.yml", b.String())
	apart := !slices.ContainsFunc(tr.rules, func(r ruleText) bool { return strings.Contains(r.expr, `job="otel-collector"`) })
	type test struct {
		step       time.Duration
		situations []int
	}
	var tests []test
	for i, s := range situations {
		at := slices.IndexFunc(tests, func(o test) bool { return apart && o.step == s.Step })
		if at < 0 {
			tests = append(tests, test{step: s.Step})
			at = len(tests) - 1
		}
		tests[at].situations = append(tests[at].situations, i)
	}
	args := []string{"test", "rules"}
	for n, one := range tests {
		var inputs, checks strings.Builder
		for _, i := range one.situations {
			s := situations[i]
			if s.err != nil {
				t.Fatalf("%s: %v", s.Name, s.err)
			}
			series, err := s.inputs()
			if err != nil {
				t.Fatal(err)
			}
			mark := fmt.Sprintf("-s%d-", i)
			for _, in := range series {
				fmt.Fprintf(&inputs, "    - series: %s\n      values: '%s'\n", tr.config.foreign(marked(in[0], mark)), in[1])
			}
			for _, w := range s.Want {
				fmt.Fprintf(&checks, "    - expr: group by (alertname, severity) (ALERTS{alertstate=\"firing\", %s=~\".*%s\"})\n      eval_time: %s\n      exp_samples: []\n", tr.by0(), mark, w.At)
			}
		}
		args = append(args, write(fmt.Sprintf("test%d.yml", n), fmt.Sprintf(
			"rule_files: [rules.yml]\nevaluation_interval: %s\ntests:\n- interval: %[1]s\n  input_series:\n%s  promql_expr_test:\n%s",
			short(one.step), inputs.String(), checks.String())))
	}
	out, err := exec.Command(promtool, args...).CombinedOutput()
	if err != nil && !strings.Contains(string(out), "got:") || strings.Contains(string(out), "err:") {
		t.Fatalf("promtool says %s", out)
	}
	fired := make(map[moment]string)
	var now moment
	for line := range strings.Lines(string(out)) {
		if found := exprLine.FindStringSubmatch(line); found != nil {
			i := 0
			if _, err := fmt.Sscanf(found[1], "%d", &i); err != nil {
				t.Fatal(err)
			}
			now = moment{situations[i].Name, found[2]}
			for _, w := range situations[i].Want {
				if d, err := time.ParseDuration(w.At); err == nil && promDuration(d) == found[2] {
					now.at = w.At
				}
			}
			continue
		}
		if strings.Contains(line, "got:") {
			var severities []string
			for _, found := range firingSample.FindAllStringSubmatch(line, -1) {
				severities = append(severities, found[2])
			}
			slices.Sort(severities)
			fired[now] = strings.Join(severities, "+")
		}
	}
	return fired
}

var (
	exprLine     = regexp.MustCompile(`expr: .*-s(\d+)-.*, time: (\w+),`)
	firingSample = regexp.MustCompile(`alertname="(\w+)", severity="(\w+)"`)
	markedLabel  = regexp.MustCompile(`\b(job|instance|exporter|receiver|integration)="([^"]*)"`)
)

// promDuration is a duration as promtool prints it.
func promDuration(d time.Duration) string {
	text := ""
	for _, unit := range []struct {
		name string
		of   time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		if n := d / unit.of; n > 0 {
			text += fmt.Sprintf("%d%s", n, unit.name)
			d -= n * unit.of
		}
	}
	return text
}

// marked puts the mark of a situation at the end of the labels that rules keep. The Collector's job is known by name.
func marked(series, mark string) string {
	return markedLabel.ReplaceAllStringFunc(series, func(l string) string {
		if l == `job="otel-collector"` {
			return l
		}
		return strings.TrimSuffix(l, `"`) + mark + `"`
	})
}

// by0 is a label of the alert that is marked.
func (tr trial) by0() string {
	for _, l := range []string{"instance", "exporter", "receiver", "integration"} {
		if slices.Contains(strings.Split(strings.Join(tr.by, ", "), ", "), l) {
			return l
		}
	}
	return "job"
}
