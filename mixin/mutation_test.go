//go:build mutation

package mixin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sockscope/sockscope/internal/tool"
)

// TestMutation changes each number, comparison, matcher, duration and guard of the rules in turn, and has every such
// mutant meet the situations of the alerts that depend on it. A mutant with which all alerts fire as they are to has
// survived: no test would have noticed the change.
func TestMutation(t *testing.T) {
	b := newBench(t)
	mutants := b.mutants(t)
	v := b.judge(t, mutants)
	b.holdToWant(t, v)

	var survived []string
	noticed, equivalent := 0, 0
	score := make(map[string]*[2]int) // noticed and all, by alert
	for i, m := range mutants {
		reason := cannotMatter(m.name)
		switch {
		case v.Noticed[i] != "" && reason != "":
			t.Errorf("%s is noticed by %s: take it off the list of what cannot matter", m.name, v.Noticed[i])
		case v.Noticed[i] != "":
			noticed++
		case reason != "":
			equivalent++
			continue
		default:
			survived = append(survived, m.name)
		}
		for _, alert := range b.alertsOf(m) {
			if score[alert] == nil {
				score[alert] = new([2]int)
			}
			score[alert][1]++
			if v.Noticed[i] != "" {
				score[alert][0]++
			}
		}
	}
	for _, alert := range slices.Sorted(maps.Keys(score)) {
		fmt.Printf("%-42s %4d of %4d\n", alert, score[alert][0], score[alert][1])
	}
	slices.Sort(survived)
	for _, name := range survived {
		t.Errorf("survived: %s", name)
	}
	all := noticed + len(survived)
	fmt.Printf("%d of %d mutants are noticed (%.1f%%), and %d cannot matter\n", noticed, all, 100*float64(noticed)/float64(all), equivalent)
	for pattern := range equivalents() {
		if !slices.ContainsFunc(mutants, func(m mutant) bool { return regexp.MustCompile(pattern).MatchString(m.name) }) {
			t.Errorf("there is no mutant %s: take it off the list of what cannot matter", pattern)
		}
	}
}

// cannotMatter returns why a mutant does the same as the rule.
func cannotMatter(name string) string {
	for pattern, reason := range equivalents() {
		if regexp.MustCompile(pattern).MatchString(name) {
			return reason
		}
	}
	return ""
}

// equivalents are the mutants that do what the rules do, with the reason, by a pattern of their names.
func equivalents() map[string]string {
	return map[string]string{}
}

// A mutant is what becomes of some rules by one change of what they are made of.
type mutant struct {
	name  string
	edits []edit
}

// A bench has everything that mutants are judged by.
type bench struct {
	program    string
	config     Config
	rules      []ruleText // that alerts depend on, in the order of evaluation
	alerts     []string
	trials     map[string]trial
	situations []Situation
}

func newBench(t *testing.T) *bench {
	b := &bench{program: tool.Path(t, "judge"), config: testConfig(), trials: make(map[string]trial), situations: Situations()}
	groups := testGroups(t, b.config)
	needed := make(map[string]bool)
	for _, name := range alertNames(groups) {
		if name == "Watchdog" { // it has nothing to change
			continue
		}
		b.alerts = append(b.alerts, name)
		b.trials[name] = newTrial(b.config, groups, name)
		for _, r := range b.trials[name].rules {
			needed[r.id()] = true
		}
	}
	for _, r := range ruleTexts(groups) {
		if needed[r.id()] {
			b.rules = append(b.rules, r)
		}
	}
	return b
}

// id tells a rule from all others.
func (r ruleText) id() string { return r.group + " " + key(r) + " " + r.alert + " " + r.severity }

// alertsOf returns the alerts that depend on what a mutant changes.
func (b *bench) alertsOf(m mutant) []string {
	return slices.DeleteFunc(slices.Clone(b.alerts), func(name string) bool {
		return !slices.ContainsFunc(b.trials[name].rules, func(r ruleText) bool {
			return slices.ContainsFunc(m.edits, func(e edit) bool { return b.rules[e.Rule].id() == r.id() })
		})
	})
}

// The command judge reads and writes these.
type (
	change struct {
		Kind, Text, What string
		From, To         int
	}
	rule struct {
		Record, Alert, Expr, For, KeepFiringFor string
		Labels                                  map[string]string
	}
	edit struct {
		Rule    int
		Changed rule
	}
	judged struct {
		Name, Step string
		Series     [][2]string
		Alerts     []string
		Want       []Want
	}
	verdict struct {
		Fired   [][][]string
		Noticed []string
	}
)

func (r ruleText) forJudge() rule {
	return rule{Record: r.record, Alert: r.alert, Expr: r.expr, For: r.wait, KeepFiringFor: r.keep, Labels: r.labels}
}

func (b *bench) judge(t *testing.T, mutants []mutant) verdict {
	t.Helper()
	var in struct {
		Rules      []rule
		Situations []judged
		Mutants    [][]edit
	}
	for _, r := range b.rules {
		in.Rules = append(in.Rules, r.forJudge())
	}
	for _, s := range b.situations {
		if s.err != nil {
			t.Fatalf("%s: %v", s.Name, s.err)
		}
		series, err := s.inputs()
		if err != nil {
			t.Fatal(err)
		}
		for i := range series {
			series[i][0] = b.config.foreign(series[i][0])
		}
		in.Situations = append(in.Situations, judged{s.Name, short(s.Step), series, b.concernedBy(s), s.Want})
	}
	for _, m := range mutants {
		in.Mutants = append(in.Mutants, m.edits)
	}
	var out verdict
	b.ask(t, "mutants", in, &out)
	return out
}

// concernedBy returns the alerts that a situation is about: all of them if it is exact.
func (b *bench) concernedBy(s Situation) []string {
	return slices.DeleteFunc(slices.Clone(b.alerts), func(name string) bool {
		return !s.Exact && len(b.trials[name].concerning([]Situation{s})) == 0
	})
}

// holdToWant makes sure that the judge finds what promtool finds: with the rules as they are, what is to fire.
func (b *bench) holdToWant(t *testing.T, v verdict) {
	t.Helper()
	for i, s := range b.situations {
		about := b.concernedBy(s)
		for n, w := range s.Want {
			want := slices.DeleteFunc(slices.Clone(w.Firing), func(f string) bool {
				name, _, _ := strings.Cut(f, "/")
				return !slices.Contains(about, name)
			})
			slices.Sort(want)
			if !slices.Equal(want, v.Fired[i][n]) {
				t.Errorf("%s: after %s the judge says %q, want %q", s.Name, w.At, v.Fired[i][n], want)
			}
		}
	}
}

func (b *bench) ask(t *testing.T, what string, in, out any) {
	t.Helper()
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), b.program, what)
	var answer, problems bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(text), &answer, &problems
	if err := cmd.Run(); err != nil {
		t.Fatalf("judge %s: %v\n%s", what, err, problems.String())
	}
	if err := json.Unmarshal(answer.Bytes(), out); err != nil {
		t.Fatal(err)
	}
}

// mutants returns what the rules can be changed into. A mutant is one change of what is written down in this package:
// what is written once and stands in several places is changed in all of them. That is what a helper repeats, such as
// the window of grown, and what all objectives share.
func (b *bench) mutants(t *testing.T) []mutant {
	t.Helper()
	exprs := make([]string, len(b.rules))
	for i, r := range b.rules {
		exprs[i] = r.expr
	}
	var all [][]change
	b.ask(t, "changes", exprs, &all)
	var keys []string
	byKey := make(map[string]map[int][]change)
	names := make(map[string]string)
	for i, r := range b.rules {
		for _, p := range r.places(all[i]) {
			if byKey[p.key] == nil {
				keys = append(keys, p.key)
				byKey[p.key] = make(map[int][]change)
				names[p.key] = p.name
			}
			byKey[p.key][i] = append(byKey[p.key][i], p.change)
		}
	}
	var mutants []mutant
	for _, k := range keys {
		m := mutant{name: names[k]}
		for _, i := range slices.Sorted(maps.Keys(byKey[k])) {
			r := b.rules[i]
			r.expr = apply(r.expr, byKey[k][i])
			m.edits = append(m.edits, edit{i, r.forJudge()})
		}
		mutants = append(mutants, m)
	}
	return append(mutants, b.durations()...)
}

// durations are the mutants that have other durations for an alert than those in its expression.
func (b *bench) durations() []mutant {
	var names []string
	edits := make(map[string][]edit)
	for i, r := range b.rules {
		if r.alert == "" {
			continue
		}
		scope, _ := r.scope()
		add := func(what string, change func(*rule)) {
			changed := r.forJudge()
			change(&changed)
			name := scope + ": " + what
			if edits[name] == nil {
				names = append(names, name)
			}
			edits[name] = append(edits[name], edit{i, changed})
		}
		if r.wait != "" {
			add("for "+r.wait+" becomes none", func(r *rule) { r.For = "" })
			add("for "+r.wait+" becomes "+fourfold(r.wait), func(r *rule) { r.For = fourfold(r.For) })
		}
		if r.keep != "" {
			add("keep_firing_for "+r.keep+" becomes none", func(r *rule) { r.KeepFiringFor = "" })
			add("keep_firing_for "+r.keep+" becomes "+fourfold(r.keep), func(r *rule) { r.KeepFiringFor = fourfold(r.KeepFiringFor) })
		}
	}
	var all []mutant
	for _, name := range names {
		all = append(all, mutant{name, edits[name]})
	}
	return all
}

func fourfold(d string) string {
	n, err := strconv.Atoi(strings.TrimRight(d, "smhd"))
	if err != nil {
		return d
	}
	return strconv.Itoa(4*n) + d[len(d)-1:]
}

// apply makes changes that do not overlap.
func apply(expr string, changes []change) string {
	slices.SortFunc(changes, func(a, b change) int { return b.From - a.From })
	for _, c := range changes {
		expr = expr[:c.From] + c.Text + expr[c.To:]
	}
	return expr
}

// A place is where a change is written down: changes with one key are one.
type place struct {
	change
	key, name string
}

var (
	sloRecord = regexp.MustCompile(`^slo:(bad_)?events:increase(\w+)$`)
	labelOf   = regexp.MustCompile(`^\w+`)
	sloPair   = regexp.MustCompile(`\)\nor\n\(`)
)

// scope is where a rule is written down. All objectives share their alerts, and their long windows.
func (r ruleText) scope() (name string, shared bool) {
	slo := r.labels["slo"]
	window := sloRecord.FindStringSubmatch(r.record)
	switch {
	case strings.HasSuffix(r.group, "-slo"), strings.HasSuffix(r.group, "-slo-slow"):
		switch {
		case r.alert != "":
			return "burn rates/" + r.severity, true
		case strings.HasSuffix(r.group, "-slo-slow"):
			return r.record, true
		case window[1] != "":
			return "objective " + slo + ", bad", true
		}
		return "objective " + slo + ", all", true
	case r.alert != "":
		return r.alert + "/" + r.severity, false
	}
	return r.record, false
}

// places says where the changes of a rule are written down.
func (r ruleText) places(changes []change) []place {
	slices.SortStableFunc(changes, func(a, b change) int { return cmp.Or(a.From-b.From, b.To-a.To) })
	scope, shared := r.scope()
	fragments := fragmentsOf(r.expr)
	counted := make(map[string][]string) // the spans in a scope, to number them
	var all []place
	option := 0
	for i, c := range changes {
		span := fmt.Sprintf("%d-%d", c.From, c.To)
		option++
		if i == 0 || changes[i-1].From != c.From || changes[i-1].To != c.To {
			option = 0
		}
		// within numbers the changes of one kind within a part of the text, so that equal parts have equal numbers.
		within := func(part string) string {
			part += " " + c.Kind
			if label := labelOf.FindString(c.What); c.Kind == "matcher" {
				part += " " + label
			}
			if !slices.Contains(counted[part], span) {
				counted[part] = append(counted[part], span)
			}
			return part + strconv.Itoa(slices.Index(counted[part], span))
		}
		add := func(where, at string) {
			all = append(all, place{c, where + "#" + at + "#" + strconv.Itoa(option) + c.Kind, where + ": " + c.What})
		}
		window := sloRecord.FindStringSubmatch(r.record)
		f := slices.IndexFunc(fragments, func(f fragment) bool { return f.from <= c.From && c.To <= f.to })
		switch {
		case r.alert == "" && shared && c.Kind == "duration" && r.expr[c.From:c.To] == window[2]:
			add(r.record+", window", "")
		case f >= 0:
			if arg, copied := fragments[f].argument(c); copied >= 0 {
				// All copies of an argument have the same numbers.
				part := fmt.Sprintf("%s, %s of %s %d", scope, arg, fragments[f].helper, f)
				at := c.From - fragments[f].args[arg][copied][0]
				add(scope+", "+fragments[f].helper+"("+r.expr[fragments[f].args[arg][copied][0]:fragments[f].args[arg][copied][1]]+")", fmt.Sprint(part, at, c.To-c.From))
			} else {
				add(fragments[f].helper, strings.TrimPrefix(within(fmt.Sprintf("%d", f)), strconv.Itoa(f)))
			}
		case r.alert != "" && shared:
			pairs := sloPair.FindAllStringIndex(r.expr, -1)
			n := 0
			for _, p := range pairs {
				if c.From > p[0] {
					n++
				}
			}
			if c.Kind == "guard" && slices.ContainsFunc(pairs, func(p []int) bool { return c.From < p[0] && c.To > p[0] }) {
				add(scope, within("or"))
				break
			}
			part := fmt.Sprintf("pair %d", len(pairs)-n) // the fast pair is first, and not everywhere
			add(scope, within(part))
			// Changes that are specific to an objective.
			name := sloOf.FindStringSubmatch(r.expr)[1]
			if c.Kind == "number" {
				before := strings.TrimSpace(r.expr[:c.From])
				direction := []string{"less", "more"}[option]
				if strings.HasSuffix(before, ">=") {
					all = append(all, place{c, "minimum of " + name + direction, "objective " + name + ": minimum becomes " + direction})
				} else {
					all = append(all, place{c, "target of " + name + direction, "objective " + name + ": share of bad events becomes " + direction})
					if len(pairs)-n == 2 {
						all = append(all, place{c, "fast pair of " + name + direction, "objective " + name + ": fast burn rate becomes " + direction})
					}
				}
			}
		default:
			add(scope, within(scope))
		}
	}
	return all
}

// A fragment is what a helper has written in an expression.
type fragment struct {
	helper   string
	from, to int
	args     map[string][][2]int // where each argument stands
}

// argument returns the argument that a change is in, and which copy of it.
func (f fragment) argument(c change) (name string, copied int) {
	for name, copies := range f.args {
		for i, at := range copies {
			if at[0] <= c.From && c.To <= at[1] {
				return name, i
			}
		}
	}
	return "", -1
}

// fragmentsOf finds what helpers have written, by what they write for arguments that are known again.
func fragmentsOf(expr string) []fragment {
	const mark = "\x00"
	templates := []struct{ helper, text string }{
		{"grown", grown(mark+"selector"+mark, mark+"window"+mark)},
		{"quantile", Quantile(mark+"q"+mark, mark+"by"+mark, mark+"metric"+mark, "", mark+"window"+mark)},
		{"quantile", Quantile(mark+"q"+mark, mark+"by"+mark, mark+"metric"+mark, mark+"matchers"+mark, mark+"window"+mark)},
		{"observations", Observations(mark+"by"+mark, mark+"metric"+mark, "", mark+"window"+mark)},
		{"observations", Observations(mark+"by"+mark, mark+"metric"+mark, mark+"matchers"+mark, mark+"window"+mark)},
		{"share", strings.ReplaceAll(share(mark+"left"+mark, mark+"right"+mark), "$by", "job, namespace")},
	}
	var found []fragment
	for _, template := range templates {
		var pattern strings.Builder
		var names []string
		for i, part := range strings.Split(template.text, mark) {
			if i%2 == 0 {
				pattern.WriteString(regexp.QuoteMeta(part))
				continue
			}
			names = append(names, part)
			pattern.WriteString("(.+?)")
		}
		for _, at := range regexp.MustCompile(pattern.String()).FindAllStringSubmatchIndex(expr, -1) {
			f := fragment{template.helper, at[0], at[1], make(map[string][][2]int)}
			same := true
			for i, name := range names {
				f.args[name] = append(f.args[name], [2]int{at[2+2*i], at[3+2*i]})
				first := f.args[name][0]
				same = same && expr[first[0]:first[1]] == expr[at[2+2*i]:at[3+2*i]]
			}
			if same {
				found = append(found, f)
			}
		}
	}
	return found
}
