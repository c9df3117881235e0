package drawing

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/internal/desk/metrics"
)

// times are those of the grid.
func (d *draft) times() []int64 {
	from, to := d.grid()
	var times []int64
	for t := from; !t.After(to); t = t.Add(d.step) {
		times = append(times, t.UnixMilli())
	}
	return times
}

// values puts the points of a series at the times of the grid that they are nearest to.
func (d *draft) values(s metrics.Series, times []int64) []Number {
	values := make([]Number, len(times))
	for i := range values {
		values[i] = none()
	}
	if len(times) == 0 {
		return values
	}
	step := d.step.Milliseconds()
	for _, p := range s.Points {
		if i := int(math.Round(float64(p.At-times[0]) / float64(step))); i >= 0 && i < len(values) {
			values[i] = Number(p.Value)
		}
	}
	return values
}

// timeSeries draws lines, bars and points over time.
func (d *draft) timeSeries(ctx context.Context) {
	answers := d.ask(ctx)
	if onlyHistograms(answers) {
		d.out.Kind = "heatmap"
		d.heatmapOf(ctx, answers)
		return
	}
	d.out.Times = d.times()
	var units []string
	for _, a := range answers {
		for _, s := range a.series {
			if len(d.out.Series) >= maxSeries {
				d.out.More++
				continue
			}
			f, name := d.field(a.target, s.Labels, seriesName(a.target, s.Labels))
			if f.Custom.HideFrom.Viz {
				continue
			}
			line := d.line(f, name)
			line.Values = d.values(s, d.out.Times)
			if f.Custom.Transform == "negative-Y" {
				for i, v := range line.Values {
					line.Values[i] = -v
				}
			}
			if f.Custom.Stacking.Mode == "normal" || f.Custom.Stacking.Mode == "percent" {
				d.out.Stacked = true
			}
			key := f.Unit
			if f.Custom.Axis == "right" {
				key += " right"
			}
			if line.Axis = slices.Index(units, key); line.Axis < 0 {
				line.Axis = min(len(units), 1)
				if len(units) < 2 {
					units = append(units, key)
					d.out.Axes = append(d.out.Axes, d.axis(f))
				}
			}
			d.out.Series = append(d.out.Series, line)
			if len(d.out.Thresholds) == 0 {
				d.thresholds(f)
			}
		}
	}
	if len(d.out.Axes) == 0 { // nothing is there, and what would be has a unit
		f, err := d.panel.FieldConfig.Of("", "", "number")
		d.fail(err)
		d.out.Axes = []Axis{d.axis(f)}
		d.thresholds(f)
	}
	if f, err := d.panel.FieldConfig.Of("", "", "number"); err == nil && f.Custom.Stacking.Mode == "percent" {
		d.percent()
	}
	d.legend()
	d.exemplars(ctx, answers)
}

// legend says which series are in it, and what stands beside their names.
func (d *draft) legend() {
	o := d.panel.Options.Legend
	if o.Mode == "hidden" || o.Show != nil && !*o.Show {
		for i := range d.out.Series {
			d.out.Series[i].Hidden = true
		}
		return
	}
	for _, calc := range o.Calcs {
		if _, ok := reduce(calc, nil); !ok {
			d.fail(fmt.Errorf("the desk does not know the calculation %s", calc))
			continue
		}
		for i := range d.out.Series {
			value, _ := reduce(calc, d.out.Series[i].Values)
			d.out.Series[i].Calcs = append(d.out.Series[i].Calcs, Calc{calc, value})
		}
	}
}

func (d *draft) line(f dashboard.Field, name string) Line {
	c := f.Custom
	l := Line{Name: name, Style: "line", Width: c.LineWidth, Fill: c.FillOpacity / 100, Stairs: len(c.LineStep) > 4 && c.LineStep[:4] == "step", Dots: c.ShowPoints == "always", Hidden: c.HideFrom.Legend}
	if c.DrawStyle != "" {
		l.Style = c.DrawStyle
	}
	if c.LineWidth == 0 && l.Style == "line" {
		l.Width = 1
	}
	if c.LineStyle.Fill == "dash" || c.LineStyle.Fill == "dot" {
		l.Dash = c.LineStyle.Fill
	}
	switch span := c.SpanNulls.(type) {
	case bool:
		if span {
			l.Span = math.MaxInt32
		}
	case float64:
		l.Span = int64(span)
	}
	if f.Color.Mode == "fixed" || f.Color.Mode == "shades" {
		l.Color = seriesColor(f.Color.Fixed)
	}
	return l
}

func (d *draft) axis(f dashboard.Field) Axis {
	return Axis{
		Unit: d.unit(f), Label: f.Custom.AxisLabel, Min: f.Min, Max: f.Max,
		SoftMin: f.Custom.SoftMin, SoftMax: f.Custom.SoftMax, Log: f.Custom.Scale.Type == "log",
	}
}

// thresholds are drawn if the field says how.
func (d *draft) thresholds(f dashboard.Field) {
	mode := f.Custom.Thresholds.Mode
	if mode == "" || mode == "off" || f.Thresholds == nil {
		return
	}
	for _, step := range f.Thresholds.Steps {
		if step.Value == nil {
			continue
		}
		d.out.Thresholds = append(d.out.Thresholds, Threshold{
			Value: threshold(f, *step.Value), Color: stateColor(step.Color),
			Line: mode != "area", Area: mode == "area" || mode == "line+area" || mode == "dashed+area",
		})
	}
}

// percent makes shares of all of stacked values.
func (d *draft) percent() {
	for i := range d.out.Times {
		var sum float64
		for _, l := range d.out.Series {
			if l.Values[i].exists() {
				sum += float64(l.Values[i])
			}
		}
		for _, l := range d.out.Series {
			l.Values[i] = Number(100 * float64(l.Values[i]) / sum)
		}
	}
	for i := range d.out.Axes {
		d.out.Axes[i].Unit, _ = unit("percent", nil)
	}
}

// exemplars asks for the exemplars of what the panel shows.
func (d *draft) exemplars(ctx context.Context, answers []answer) {
	for _, a := range answers {
		if !a.target.Exemplar || d.given != nil || d.source(a.target) != "prometheus" || a.expr == "" {
			continue
		}
		from, to := d.grid()
		list, err := d.view.drawer.Prometheus.Exemplars(ctx, a.expr, from, to, maxExemplars)
		d.fail(err)
		d.out.Exemplars = append(d.out.Exemplars, d.highest(list)...)
	}
}

// highest are the exemplars with the highest values, one for each of so many parts of the range: those are what a
// person looks for, and all together hide the rest.
func (d *draft) highest(list []metrics.Exemplar) []Dot {
	from, length := d.out.From, d.out.To-d.out.From
	parts := make(map[int64]Dot)
	for _, e := range list {
		part := (e.At - from) * maxDots / max(length, 1)
		if best, ok := parts[part]; isTrace(e.TraceID) && (!ok || e.Value > float64(best.Value)) {
			parts[part] = Dot{e.At, Number(e.Value), e.TraceID}
		}
	}
	return slices.SortedFunc(maps.Values(parts), func(a, b Dot) int { return cmp.Compare(a.At, b.At) })
}

// isTrace tells whether a text is the id of a trace, of which there is a page.
func isTrace(id string) bool {
	for _, r := range id {
		if (r < '0' || r > '9') && (r < 'a' || r > 'f') {
			return false
		}
	}
	return len(id) == 32
}

// heatmap draws how often which values are, of native histograms or of classic ones with a series for each bound.
func (d *draft) heatmap(ctx context.Context) { d.heatmapOf(ctx, d.ask(ctx)) }

// onlyHistograms tells whether there are native histograms and nothing else, which lines can't show.
func onlyHistograms(answers []answer) bool {
	some := false
	for _, a := range answers {
		for _, s := range a.series {
			if len(s.Points) > 0 {
				return false
			}
			some = some || len(s.Histograms) > 0
		}
	}
	return some
}

func (d *draft) heatmapOf(ctx context.Context, answers []answer) {
	d.out.Times = d.times()
	columns := make([][]metrics.Bucket, len(d.out.Times))
	step := d.step.Milliseconds()
	at := func(t int64) int {
		i := -1
		if len(d.out.Times) > 0 {
			i = int(math.Round(float64(t-d.out.Times[0]) / float64(step)))
		}
		if i >= len(columns) {
			i = -1
		}
		return i
	}
	native := false
	for _, a := range answers {
		var classic []metrics.Series
		for _, s := range a.series {
			if len(s.Histograms) == 0 {
				classic = append(classic, s)
			}
			for _, h := range s.Histograms {
				native = true
				if i := at(h.At); i >= 0 {
					columns[i] = append(columns[i], h.Buckets...)
				}
			}
		}
		for t, buckets := range classicBuckets(classic) {
			if i := at(t); i >= 0 {
				columns[i] = append(columns[i], buckets...)
			}
		}
	}
	least := 0.0
	if le := d.panel.Options.Filter.LE; le != nil {
		least = *le
	}
	d.out.Heat = heat(columns, least, native)
	f, err := d.panel.FieldConfig.Of("", "", "number")
	d.fail(err)
	if unit := d.panel.Options.YAxis.Unit; unit != "" {
		f.Unit = unit
	}
	d.out.Axes = []Axis{{Unit: d.unit(f)}}
	d.exemplars(ctx, answers)
}
