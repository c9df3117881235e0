package drawing

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/sockscope/sockscope/internal/backend"
	"github.com/sockscope/sockscope/internal/dashboard"
)

// stats draws single values: numbers, gauges and bars.
func (d *draft) stats(ctx context.Context) {
	o := d.panel.Options
	d.out.ColorMode, d.out.Horizontal = o.ColorMode, o.Orientation == "horizontal"
	if d.out.ColorMode == "" {
		d.out.ColorMode = "value"
	}
	calc := "lastNotNull"
	if len(o.Reduce.Calcs) > 0 {
		calc = o.Reduce.Calcs[0]
	}
	times := d.times()
	for _, a := range d.ask(ctx) {
		for _, s := range a.series {
			if len(d.out.Stats) >= maxRows {
				d.out.More++
				continue
			}
			f, name := d.field(a.target, s.Labels, seriesName(a.target, s.Labels))
			if f.Custom.HideFrom.Viz {
				continue
			}
			values := d.values(s, times)
			if a.target.Instant {
				values = nil
				for _, p := range s.Points {
					values = append(values, Number(p.Value))
				}
			}
			value, ok := reduce(calc, values)
			if !ok {
				d.fail(fmt.Errorf("the desk does not know the calculation %s", calc))
			}
			stat := d.stat(f, name, value)
			if o.GraphMode == "area" && !a.target.Instant {
				stat.Spark = values
			}
			d.out.Stats = append(d.out.Stats, stat)
		}
	}
	d.finish()
}

// finish adds what holds for all single values together.
func (d *draft) finish() {
	if len(d.out.Stats) == 0 {
		f, err := d.panel.FieldConfig.Of("", "", "number")
		d.fail(err)
		if f.NoValue != "" {
			d.out.Stats = []Stat{{Value: none(), Text: backend.Cut(f.NoValue, maxName), Color: "quiet"}}
		}
		return
	}
	// Without a range of its own, a bar is as long as its share of the largest.
	most := 0.0
	for _, s := range d.out.Stats {
		if s.Value.exists() {
			most = max(most, float64(s.Value))
		}
	}
	for i := range d.out.Stats {
		s := &d.out.Stats[i]
		if math.IsNaN(s.Max) {
			s.Max = max(most, s.Min+1e-9)
		}
	}
	if mode := d.panel.Options.TextMode; len(d.out.Stats) == 1 && mode != "name" && mode != "value_and_name" || mode == "value" {
		for i := range d.out.Stats {
			d.out.Stats[i].Name = ""
		}
	}
}

func (d *draft) stat(f dashboard.Field, name string, value Number) Stat {
	s := Stat{Name: backend.Cut(name, maxName), Value: value, Unit: d.unit(f), Color: thresholdColor(f, float64(value))}
	if f.Color.Mode == "fixed" {
		s.Color = stateColor(f.Color.Fixed)
	}
	if result, ok := mapped(f, float64(value), ""); ok {
		s.Text = result.Text
		if result.Color != "" {
			s.Color = stateColor(result.Color)
		}
	} else if !value.exists() {
		s.Text, s.Color = f.NoValue, "quiet"
	}
	high := math.NaN()
	switch {
	case f.Unit == "percentunit":
		high = 1
	case f.Unit == "percent", d.panel.Type == "gauge":
		high = 100
	}
	s.Min, s.Max = bounds(f, 0, high)
	if f.Thresholds != nil {
		for _, step := range f.Thresholds.Steps {
			from := s.Min
			if step.Value != nil {
				from = threshold(f, *step.Value)
			}
			s.Steps = append(s.Steps, Segment{from, stateColor(step.Color)})
		}
	}
	return s
}

// timeline draws what state each series was in.
func (d *draft) timeline(ctx context.Context) {
	times, step := d.times(), d.step.Milliseconds()
	for _, a := range d.ask(ctx) {
		for _, s := range a.series {
			if len(d.out.Lanes) >= maxSeries {
				d.out.More++
				continue
			}
			f, name := d.field(a.target, s.Labels, seriesName(a.target, s.Labels))
			lane := Lane{Name: name}
			u := d.unit(f)
			for i, v := range d.values(s, times) {
				if !v.exists() {
					continue
				}
				state := State{From: times[i], To: times[i] + step, Text: number(float64(v), u), Color: thresholdColor(f, float64(v))}
				if result, ok := mapped(f, float64(v), ""); ok {
					state.Text = result.Text
					if result.Color != "" {
						state.Color = stateColor(result.Color)
					}
				}
				if n := len(lane.States) - 1; n >= 0 && lane.States[n].To == state.From && lane.States[n].Text == state.Text && lane.States[n].Color == state.Color {
					lane.States[n].To = state.To
					continue
				}
				lane.States = append(lane.States, state)
			}
			if len(lane.States) > 0 {
				d.out.Lanes = append(d.out.Lanes, lane)
			}
		}
	}
	slices.SortStableFunc(d.out.Lanes, func(a, b Lane) int { return int(a.States[0].From - b.States[0].From) })
}

// number puts a state's value into words. Charts write their numbers by themselves.
func number(v float64, u Unit) string {
	return fmt.Sprintf("%s%.4g%s", u.Prefix, v*u.Factor, u.Suffix)
}
