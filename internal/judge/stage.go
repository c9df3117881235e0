package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// A stage is a situation, with what the unchanged rules make of it.
type stage struct {
	situation
	engine    *promql.Engine
	rules     []*parsedRule
	step, end time.Duration
	inputs    map[string][]*series // by metric
	unchanged []func() *outcome    // of each rule
}

// A series has samples in the order of time.
type series struct {
	labels  labels.Labels
	samples []chunks.Sample
}

// An outcome is what a rule makes of a situation: the series that it records, or the steps at which its alert fires.
type outcome struct {
	series []*series
	fires  []bool
	err    error
}

func newStage(s situation, rules []*parsedRule) (*stage, error) {
	st := &stage{situation: s, rules: rules, inputs: make(map[string][]*series)}
	step, err := model.ParseDuration(s.Step)
	if err != nil {
		return nil, err
	}
	st.step = time.Duration(step)
	for _, w := range s.Want {
		at, err := model.ParseDuration(w.At)
		if err != nil {
			return nil, err
		}
		st.end = max(st.end, time.Duration(at).Truncate(st.step))
	}
	p := newParser()
	for _, in := range s.Series {
		lset, values, err := p.ParseSeriesDesc(in[0] + " " + in[1])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", in[0], err)
		}
		one := &series{labels: lset}
		for i, v := range values {
			if at := int64(i) * st.step.Milliseconds(); !v.Omitted {
				one.samples = append(one.samples, sample{t: at, f: v.Value, fh: v.Histogram})
			}
		}
		name := lset.Get(model.MetricNameLabel)
		st.inputs[name] = append(st.inputs[name], one)
	}
	// As promtool has it, save for the number of samples: that is of a whole situation.
	st.engine = promql.NewEngine(promql.EngineOpts{
		MaxSamples: 50_000_000, Timeout: 10 * time.Minute, EnableAtModifier: true, EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return st.step.Milliseconds() },
	})
	for i := range rules {
		st.unchanged = append(st.unchanged, sync.OnceValue(func() *outcome { return (&view{stage: st}).evaluate(context.Background(), i) }))
	}
	return st, nil
}

// A view is a stage on which some rules are changed. Its zero value beside the stage has none changed.
type view struct {
	*stage
	changed  map[int]*parsedRule
	touched  []bool // the rules that are changed, and those that read what these make
	outcomes map[int]*outcome
}

// outcome is that of a rule, evaluated if it has to be.
func (v *view) outcome(ctx context.Context, i int) *outcome {
	if v.touched == nil || !v.touched[i] {
		return v.unchanged[i]()
	}
	if v.outcomes[i] == nil {
		v.outcomes[i] = v.evaluate(ctx, i)
	}
	return v.outcomes[i]
}

func (v *view) evaluate(ctx context.Context, i int) *outcome {
	r := v.rules[i]
	if other := v.changed[i]; other != nil {
		r = other
	}
	if r.Alert == "" {
		return v.record(ctx, r, i)
	}
	return v.alert(ctx, r, i)
}

// query evaluates a rule's expression at every step from one on.
func (v *view) query(ctx context.Context, r *parsedRule, q querier, from time.Duration) (promql.Matrix, error) {
	query, err := v.engine.NewRangeQuery(ctx, q, nil, r.Expr, at(from), at(v.end), v.step)
	if err != nil {
		return nil, err
	}
	defer query.Close()
	result := query.Exec(ctx)
	if result.Err != nil {
		return nil, result.Err
	}
	matrix, err := result.Matrix()
	if err != nil {
		return nil, err
	}
	// The engine takes its points back when the query is closed.
	own := make(promql.Matrix, len(matrix))
	for i, s := range matrix {
		own[i] = promql.Series{Metric: s.Metric, Floats: slices.Clone(s.Floats), Histograms: slices.Clone(s.Histograms)}
	}
	return own, nil
}

func at(d time.Duration) time.Time { return time.Unix(0, 0).Add(d) }

// record evaluates a recording rule. Where a series is left out, it ends there.
func (v *view) record(ctx context.Context, r *parsedRule, i int) *outcome {
	matrix, err := v.query(ctx, r, querier{view: v, before: i}, 0)
	if err != nil {
		return &outcome{err: err}
	}
	o := new(outcome)
	seen := make(map[uint64]bool)
	for _, s := range matrix {
		b := labels.NewBuilder(s.Metric).Set(model.MetricNameLabel, r.Record)
		for name, text := range r.Labels {
			b.Set(name, text)
		}
		one := &series{labels: b.Labels()}
		h := one.labels.Hash()
		if seen[h] {
			return &outcome{err: errors.New("several series have the same labels")}
		}
		seen[h] = true
		for _, p := range s.Floats {
			one.samples = append(one.samples, sample{t: p.T, f: p.F})
		}
		for _, p := range s.Histograms {
			one.samples = append(one.samples, sample{t: p.T, fh: p.H})
		}
		slices.SortFunc(one.samples, func(a, b chunks.Sample) int { return int(a.T() - b.T()) })
		one.samples = withEnds(one.samples, v.step.Milliseconds(), v.end.Milliseconds())
		o.series = append(o.series, one)
	}
	return o
}

// withEnds puts a mark of staleness where a sample is missing after one that is there.
func withEnds(samples []chunks.Sample, step, end int64) []chunks.Sample {
	var all []chunks.Sample
	for i, s := range samples {
		all = append(all, s)
		if next := s.T() + step; next <= end && (i == len(samples)-1 || samples[i+1].T() > next) {
			all = append(all, sample{t: next, f: math.Float64frombits(value.StaleNaN)})
		}
	}
	return all
}

// alert evaluates an alerting rule.
//
// One that reads its own ALERTS sees at each step what came of the step before. It is evaluated on a guess of these,
// and again from the first step that came out otherwise, until there is none. The guess is that nothing changes any
// more.
func (v *view) alert(ctx context.Context, r *parsedRule, i int) *outcome {
	steps := int(v.end/v.step) + 1
	points := make([]promql.Vector, steps)
	var own []*series
	from := 0
	for range steps + 1 {
		matrix, err := v.query(ctx, r, querier{view: v, before: i, own: own}, time.Duration(from)*v.step)
		if err != nil {
			return &outcome{err: err}
		}
		for n := from; n < steps; n++ {
			points[n] = nil
		}
		for _, s := range matrix {
			for _, p := range s.Floats {
				n := p.T / v.step.Milliseconds()
				points[n] = append(points[n], promql.Sample{Metric: s.Metric, T: p.T, F: p.F})
			}
			for _, p := range s.Histograms {
				n := p.T / v.step.Milliseconds()
				points[n] = append(points[n], promql.Sample{Metric: s.Metric, T: p.T, H: p.H})
			}
		}
		o, now := v.raise(ctx, r, points)
		if !r.readsOwn || o.err != nil {
			return o
		}
		if from = firstDifference(own, now, v.step.Milliseconds()); from < 0 || from >= steps {
			return o
		}
		own = lasting(now, int64(from-1)*v.step.Milliseconds()+1, v.step.Milliseconds(), v.end.Milliseconds()+1)
	}
	return &outcome{err: errors.New("it never comes to an end")}
}

// raise has Prometheus make alerts of what an expression was at each step. The series of ALERTS are those that the next
// step reads, so they are a millisecond late. The labels of the rule have no templates in them: they are set
// afterwards, and the expression is not evaluated here, so that both cost nothing.
func (v *view) raise(ctx context.Context, r *parsedRule, points []promql.Vector) (*outcome, []*series) {
	nothing := labels.EmptyLabels()
	rule := rules.NewAlertingRule(r.Alert, &parser.NumberLiteral{}, r.wait, r.keep, nothing, nothing, nothing, "", true, promslog.NewNopLogger())
	o := &outcome{fires: make([]bool, len(points))}
	byHash := make(map[uint64]*series)
	var all []*series
	active := false
	for n, vector := range points {
		if len(vector) == 0 && !active { // as is most often the case
			continue
		}
		result, err := rule.Eval(ctx, 0, at(time.Duration(n)*v.step), func(context.Context, string, time.Time) (promql.Vector, error) { return vector, nil }, nil, 0)
		if err != nil {
			return &outcome{err: err}, nil
		}
		active = len(result) > 0
		for _, s := range result {
			if s.Metric.Get(model.MetricNameLabel) != "ALERTS" {
				continue
			}
			o.fires[n] = o.fires[n] || s.Metric.Get("alertstate") == "firing"
			h := s.Metric.Hash()
			if byHash[h] == nil {
				b := labels.NewBuilder(s.Metric)
				for name, text := range r.Labels {
					b.Set(name, text)
				}
				byHash[h] = &series{labels: b.Labels()}
				all = append(all, byHash[h])
			}
			byHash[h].samples = append(byHash[h].samples, sample{t: int64(n)*v.step.Milliseconds() + 1, f: s.F})
		}
	}
	for _, s := range all {
		s.samples = withEnds(s.samples, v.step.Milliseconds(), v.end.Milliseconds()+1)
	}
	return o, all
}

// firstDifference is the first step that can see that series differ, or -1.
func firstDifference(a, b []*series, step int64) int {
	first := int64(math.MaxInt64)
	compare := func(a, b []*series) {
		for _, s := range a {
			var other []chunks.Sample
			if i := slices.IndexFunc(b, func(o *series) bool { return labels.Equal(o.labels, s.labels) }); i >= 0 {
				other = b[i].samples
			}
			for i, one := range s.samples {
				if i >= len(other) || other[i].T() != one.T() || math.Float64bits(other[i].F()) != math.Float64bits(one.F()) {
					first = min(first, one.T())
					if i < len(other) {
						first = min(first, other[i].T())
					}
					break
				}
			}
		}
	}
	compare(a, b)
	compare(b, a)
	if first == math.MaxInt64 {
		return -1
	}
	return int(first/step) + 1
}

// lasting are series that stay as they are at a time until the end.
func lasting(all []*series, from, step, end int64) []*series {
	var guess []*series
	for _, s := range all {
		one := &series{labels: s.labels}
		for _, p := range s.samples {
			if p.T() <= from {
				one.samples = append(one.samples, p)
			}
		}
		if len(one.samples) == 0 {
			continue
		}
		last := one.samples[len(one.samples)-1]
		for t := from + step; t <= end && last.T() == from && !value.IsStaleNaN(last.F()); t += step {
			one.samples = append(one.samples, sample{t: t, f: last.F()})
		}
		guess = append(guess, one)
	}
	return guess
}

// A querier answers with the inputs of a situation and with what the rules before one record.
type querier struct {
	*view
	before int
	own    []*series // the ALERTS of the rule itself
}

func (q querier) Querier(int64, int64) (storage.Querier, error) { return q, nil }

func (q querier) Select(ctx context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	var found []storage.Series
	add := func(all []*series) {
		for _, s := range all {
			if matches(matchers, s.labels.Get) {
				found = append(found, storage.NewListSeries(s.labels, s.samples))
			}
		}
	}
	for name, all := range q.inputs {
		if m := ofName(matchers); m == nil || m.Matches(name) {
			add(all)
		}
	}
	for i, r := range q.rules[:q.before] {
		if r.mayMatch(matchers) {
			o := q.outcome(ctx, i)
			if o.err != nil {
				return storage.ErrSeriesSet(o.err)
			}
			add(o.series)
		}
	}
	add(q.own)
	slices.SortFunc(found, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return &set{SeriesSet: storage.EmptySeriesSet(), left: found}
}

func (q querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (q querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (q querier) Close() error { return nil }

// ofName is the matcher on the name of the metric.
func ofName(matchers []*labels.Matcher) *labels.Matcher {
	if i := slices.IndexFunc(matchers, func(m *labels.Matcher) bool { return m.Name == model.MetricNameLabel }); i >= 0 {
		return matchers[i]
	}
	return nil
}

// matches tells whether the matchers on labels that have a value here match it.
func matches(matchers []*labels.Matcher, get func(string) string) bool {
	for _, m := range matchers {
		if !m.Matches(get(m.Name)) {
			return false
		}
	}
	return true
}

// sample is one of a series. Callers may change the histogram that they are given.
type sample struct {
	t  int64
	f  float64
	fh *histogram.FloatHistogram
}

func (s sample) T() int64                { return s.t }
func (s sample) ST() int64               { return 0 }
func (s sample) F() float64              { return s.f }
func (s sample) H() *histogram.Histogram { return nil }
func (s sample) Copy() chunks.Sample     { return s }

func (s sample) FH() *histogram.FloatHistogram {
	if s.fh == nil {
		return nil
	}
	return s.fh.Copy()
}

func (s sample) Type() chunkenc.ValueType {
	if s.fh != nil {
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

// A set is a storage.SeriesSet.
type set struct {
	storage.SeriesSet // an empty one
	left              []storage.Series
	now               storage.Series
}

func (s *set) Next() bool {
	if len(s.left) == 0 {
		return false
	}
	s.now, s.left = s.left[0], s.left[1:]
	return true
}

func (s *set) At() storage.Series { return s.now }
