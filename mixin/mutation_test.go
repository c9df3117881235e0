//go:build mutation

package mixin

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sockscope/sockscope/internal/tool"
)

// TestMutation changes each number, comparison, matcher, duration and guard of each rule in turn, and has every such mutant
// meet the situations of the alerts that depend on the rule. A mutant with which all alerts fire as they are to has
// survived: no test would have noticed the change.
func TestMutation(t *testing.T) {
	promtool := tool.Path(t, "promtool")
	c := testConfig()
	groups := testGroups(t, c)
	situations := Situations()
	all := make(map[string]bool) // whether a mutant was noticed, by any alert
	for _, name := range alertNames(groups) {
		if name == "Watchdog" { // it has nothing to change
			continue
		}
		t.Run(name, func(t *testing.T) {
			trial := newTrial(c, groups, name)
			mine := trial.concerning(situations)
			mutants := trial.mutants()
			fired := trial.run(t, promtool, mine, mutants)
			for i, m := range mutants {
				what := m.record + m.alert + " " + m.labels["slo"] + m.severity + ": " + m.what
				noticed := all[what] || m.broken
				for _, s := range mine {
					for _, w := range s.Want {
						noticed = noticed || fired[moment{s.Name, w.At}][strconv.Itoa(i)] != trial.expected(w)
					}
				}
				all[what] = noticed
				if !noticed {
					t.Logf("not noticed: %s", what)
				}
			}
		})
	}
	noticed, equivalent := 0, 0
	var survived []string
	for what, ok := range all {
		switch reason := cannotMatter(what); {
		case ok && reason == "":
			noticed++
		case ok:
			t.Errorf("%s is noticed: take it off the list of what cannot matter", what)
		case reason != "":
			equivalent++
		default:
			survived = append(survived, what)
		}
	}
	slices.Sort(survived)
	for _, what := range survived {
		t.Errorf("survived: %s", what)
	}
	t.Logf("%d of %d mutants are noticed (%.1f%%); %d more cannot matter", noticed, noticed+len(survived),
		100*float64(noticed)/float64(noticed+len(survived)), equivalent)
}

// cannotMatter returns why a mutant does the same as the rule.
func cannotMatter(what string) string {
	for pattern, reason := range equivalents {
		if regexp.MustCompile(pattern).MatchString(what) {
			return reason
		}
	}
	return ""
}

var equivalents = map[string]string{
	`^RealtimeTargetDown .*: line 3, 20m becomes 80m`:          "a target that is down for longer than that was so a quarter of an hour ago",
	`^WebSocketConnectionsCutAtOneAge .*: line 1, 0.5 becomes`: "what it is compared with besides has all quantiles be nearly the same",
}

// mutants returns what each rule of the trial can be changed into.
func (tr trial) mutants() []mutant {
	var all []mutant
	for i, r := range tr.rules {
		add := func(what string, changed ruleText) {
			all = append(all, mutant{rule: i, what: what, ruleText: changed})
		}
		for _, c := range changes(r.expr) {
			changed := r
			changed.expr = c.expr
			add(c.what, changed)
		}
		if r.wait != "" {
			changed := r
			changed.wait = ""
			add("for none", changed)
			changed.wait = times(r.wait, 4)
			add("for 4 times longer", changed)
		}
		if r.keep != "" {
			changed := r
			changed.keep = ""
			add("keep_firing_for none", changed)
		}
	}
	return all
}

type change struct{ what, expr string }

var (
	comparison = regexp.MustCompile(`(==|!=|>=|<=|>|<)( bool)? `)
	matched    = regexp.MustCompile(`\w+(=~|!~|!=|=)"[^"]*"`)
	numeral    = regexp.MustCompile(`(^|[ (])([0-9]+(?:\.[0-9]+)?)($|[ )\n,])`)
	span       = regexp.MustCompile(`\b[0-9]+(?:s|m|h|d)\b`)
	guard      = regexp.MustCompile(`(?:^|\n)\s*(and|unless|or)\b`)
)

// changes returns an expression with one thing in it changed, for each thing.
func changes(expr string) []change {
	var all []change
	add := func(what string, from, to int, text string) {
		before := expr[:from]
		line := strings.Count(before, "\n") + 1
		all = append(all, change{fmt.Sprintf("line %d, %s", line, what), before + text + expr[to:]})
	}
	opposite := map[string]string{"==": "!=", "!=": "==", ">": "<=", ">=": "<", "<": ">=", "<=": ">"}
	for _, at := range comparison.FindAllStringSubmatchIndex(blind(expr), -1) {
		op := expr[at[2]:at[3]]
		add(op+" becomes "+opposite[op], at[2], at[3], opposite[op])
	}
	negated := map[string]string{"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
	for _, at := range matched.FindAllStringSubmatchIndex(expr, -1) {
		op := expr[at[2]:at[3]]
		add(expr[at[0]:at[1]]+" becomes "+negated[op], at[2], at[3], negated[op])
	}
	for _, at := range numeral.FindAllStringSubmatchIndex(blind(expr), -1) {
		v, err := strconv.ParseFloat(expr[at[4]:at[5]], 64)
		if err != nil || v == 0 {
			continue
		}
		for _, factor := range []float64{0.6, 1.6} {
			add(fmt.Sprintf("%s becomes %s", expr[at[4]:at[5]], number(v*factor)), at[4], at[5], number(v*factor))
		}
	}
	for _, at := range span.FindAllStringIndex(blind(expr), -1) {
		d := expr[at[0]:at[1]]
		add(d+" becomes "+times(d, 4), at[0], at[1], times(d, 4))
		add(d+" becomes a quarter", at[0], at[1], quarter(d))
	}
	for _, at := range guard.FindAllStringSubmatchIndex(blind(expr), -1) {
		op := expr[at[2]:at[3]]
		switch op {
		case "and":
			add("and becomes or", at[2], at[3], "or")
		case "or":
			add("or becomes and", at[2], at[3], "and")
		case "unless":
			add("unless becomes and", at[2], at[3], "and")
		}
	}
	return all
}

// blind is an expression without what is quoted, at the same length.
func blind(expr string) string {
	return regexp.MustCompile(`"[^"]*"`).ReplaceAllStringFunc(expr, func(q string) string { return `"` + strings.Repeat("_", len(q)-2) + `"` })
}

func times(d string, factor int) string {
	n, err := strconv.Atoi(strings.TrimRight(d, "smhd"))
	if err != nil {
		return d
	}
	return strconv.Itoa(n*factor) + d[len(d)-1:]
}

// quarter is a duration divided by four.
func quarter(d string) string {
	n, err := strconv.Atoi(strings.TrimRight(d, "smhd"))
	if err != nil {
		return d
	}
	unit := map[byte]int{'s': 1, 'm': 60, 'h': 3600, 'd': 86400}[d[len(d)-1]]
	return strconv.Itoa(max(1, n*unit/4)) + "s"
}
