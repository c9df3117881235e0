package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// A court has what mutants are judged by.
type court struct {
	Rules      []rule
	Situations []situation
	Mutants    [][]edit
}

// A rule is one of a file of rules, in the order in which they are evaluated.
type rule struct {
	Record, Alert, Expr, For, KeepFiringFor string
	Labels                                  map[string]string
}

// An edit is a rule that has something changed, in the place of that with its number.
type edit struct {
	Rule    int
	Changed rule
}

// A situation has series in promtool's notation, and which of some alerts fire at some moments.
type situation struct {
	Name, Step string
	Series     [][2]string
	Alerts     []string // the alerts that it is about; others may fire or not
	Want       []struct {
		At     string
		Firing []string // as ALERT/SEVERITY
	}
}

// A verdict says what came of the rules as they are, and of each mutant.
type verdict struct {
	Fired   [][][]string // of the alerts that the situation is about, by situation and moment
	Noticed []string     // by which situation each mutant is noticed, or nothing
}

// A parsedRule is ready to be evaluated.
type parsedRule struct {
	rule
	reads      [][]*labels.Matcher
	wait, keep time.Duration
	readsOwn   bool // its own ALERTS
}

func parse(r rule) (*parsedRule, error) {
	tree, err := newParser().ParseExpr(r.Expr)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", r.Expr, err)
	}
	p := &parsedRule{rule: r, reads: parser.ExtractSelectors(tree)}
	for _, d := range []struct {
		text string
		to   *time.Duration
	}{{r.For, &p.wait}, {r.KeepFiringFor, &p.keep}} {
		if d.text == "" {
			continue
		}
		parsed, err := model.ParseDuration(d.text)
		if err != nil {
			return nil, err
		}
		*d.to = time.Duration(parsed)
	}
	for _, matchers := range p.reads {
		if m := ofName(matchers); m != nil && m.Value == "ALERTS" {
			p.readsOwn = true
		}
	}
	return p, nil
}

// mayMatch tells whether the rule may record something that matchers match.
func (r *parsedRule) mayMatch(matchers []*labels.Matcher) bool {
	if r.Record == "" {
		return false
	}
	for _, m := range matchers {
		text, known := r.Labels[m.Name]
		if m.Name == model.MetricNameLabel {
			text, known = r.Record, true
		}
		if known && !m.Matches(text) {
			return false
		}
	}
	return true
}

// judge has each mutant meet situations until one of them notices it.
func (c court) judge(ctx context.Context) (verdict, error) {
	parsed := make([]*parsedRule, len(c.Rules))
	for i, r := range c.Rules {
		p, err := parse(r)
		if err != nil {
			return verdict{}, err
		}
		parsed[i] = p
	}
	if err := inOrder(parsed); err != nil {
		return verdict{}, err
	}
	stages := make([]*stage, len(c.Situations))
	for i, s := range c.Situations {
		st, err := newStage(s, parsed)
		if err != nil {
			return verdict{}, fmt.Errorf("situation %q: %w", s.Name, err)
		}
		stages[i] = st
	}
	v := verdict{Fired: make([][][]string, len(stages)), Noticed: make([]string, len(c.Mutants))}
	failed := make([]error, len(stages))
	if err := each(ctx, len(stages), func(i int) { v.Fired[i], failed[i] = (&view{stage: stages[i]}).firing(ctx, stages[i].Alerts) }); err != nil {
		return verdict{}, err
	}
	if err := errors.Join(failed...); err != nil {
		return verdict{}, err
	}
	// Those that take least are asked first.
	slices.SortStableFunc(stages, func(a, b *stage) int { return int(a.end/a.step - b.end/b.step) })
	known := new(memory)
	err := each(ctx, len(c.Mutants), func(i int) { v.Noticed[i] = known.noticed(ctx, parsed, stages, c.Mutants[i]) })
	return v, err
}

// inOrder makes sure that no rule reads what a later one makes: it would see what that made the step before.
func inOrder(all []*parsedRule) error {
	for i, r := range all {
		for _, matchers := range r.reads {
			for _, later := range all[i:] {
				if ofName(matchers) != nil && later.mayMatch(matchers) {
					return fmt.Errorf("%s%s reads %s, which is recorded after it", r.Record, r.Alert, later.Record)
				}
			}
			if m := ofName(matchers); m != nil && m.Value == "ALERTS" && !matches(matchers, func(name string) string {
				return map[string]string{model.MetricNameLabel: "ALERTS", "alertname": r.Alert, "alertstate": "firing", "transport": r.Labels["transport"]}[name]
			}) {
				return fmt.Errorf("%s%s reads ALERTS that are not its own", r.Record, r.Alert)
			}
		}
	}
	return nil
}

// each calls a function with all numbers up to n, on all processors.
func each(ctx context.Context, n int, do func(int)) error {
	numbers := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range numbers {
				if ctx.Err() == nil {
					do(i)
				}
			}
		})
	}
	for i := range n {
		numbers <- i
	}
	close(numbers)
	wg.Wait()
	return ctx.Err()
}

// memory has the situation that has noticed a mutant of a rule last: it is asked first about the next one.
type memory struct {
	mu   sync.Mutex
	last map[int]*stage
}

func (m *memory) of(rule int) *stage {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last[rule]
}

func (m *memory) set(rule int, st *stage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last == nil {
		m.last = make(map[int]*stage)
	}
	m.last[rule] = st
}

// noticed returns the situation that a mutant is noticed by, or nothing.
func (m *memory) noticed(ctx context.Context, all []*parsedRule, stages []*stage, mutant []edit) string {
	changed := make(map[int]*parsedRule)
	for _, e := range mutant {
		p, err := parse(e.Changed)
		if err != nil {
			return "it can't be loaded: " + err.Error()
		}
		changed[e.Rule] = p
	}
	touched := make([]bool, len(all))
	alerts := make(map[string]bool)
	for i, r := range all {
		touched[i] = changed[i] != nil || slices.ContainsFunc(r.reads, func(matchers []*labels.Matcher) bool {
			for j, before := range all[:i] {
				if touched[j] && before.mayMatch(matchers) {
					return true
				}
			}
			return false
		})
		if touched[i] && r.Alert != "" {
			alerts[r.Alert] = true
		}
	}
	first := mutant[0].Rule
	order := stages
	if last := m.of(first); last != nil {
		order = append([]*stage{last}, stages...)
	}
	for _, st := range order {
		var some []string
		for _, name := range slices.Sorted(maps.Keys(alerts)) {
			if slices.Contains(st.Alerts, name) {
				some = append(some, name)
			}
		}
		if len(some) == 0 {
			continue
		}
		fired, err := (&view{stage: st, changed: changed, touched: touched, outcomes: make(map[int]*outcome)}).firing(ctx, some)
		if err == nil {
			err = st.wanted(some, fired)
		}
		if err != nil {
			m.set(first, st)
			return st.Name + ": " + err.Error()
		}
	}
	return ""
}

// firing returns which of some alerts fire at each moment that the situation looks at.
func (v *view) firing(ctx context.Context, alerts []string) ([][]string, error) {
	fired := make([][]string, len(v.Want))
	for i, r := range v.rules {
		if r.Alert == "" || !slices.Contains(alerts, r.Alert) {
			continue
		}
		o := v.outcome(ctx, i)
		if o.err != nil {
			return nil, fmt.Errorf("%s: %s: %w", v.Name, r.Alert, o.err)
		}
		for n, w := range v.Want {
			at, err := model.ParseDuration(w.At)
			if err != nil {
				return nil, err
			}
			if o.fires[time.Duration(at)/v.step] {
				fired[n] = append(fired[n], r.Alert+"/"+r.Labels["severity"])
			}
		}
	}
	for _, f := range fired {
		slices.Sort(f)
	}
	return fired, nil
}

// wanted returns an error unless those of some alerts fire that are to.
func (s situation) wanted(alerts []string, fired [][]string) error {
	for n, w := range s.Want {
		var want []string
		for _, f := range w.Firing {
			if name, _, _ := strings.Cut(f, "/"); slices.Contains(alerts, name) {
				want = append(want, f)
			}
		}
		slices.Sort(want)
		if !slices.Equal(want, fired[n]) {
			return fmt.Errorf("after %s %q fire instead of %q", w.At, fired[n], want)
		}
	}
	return nil
}
