package drawing

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sockscope/sockscope/internal/backend"
	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/internal/desk/metrics"
)

// Panel draws a panel of at most so many points. Errors are among its problems.
func (v *View) Panel(ctx context.Context, p dashboard.Panel, points int) Panel {
	d := &draft{view: v, panel: p}
	return d.draw(ctx, points)
}

func (d *draft) draw(ctx context.Context, points int) Panel {
	v, p := d.view, d.panel
	points = min(max(points, 30), maxPoints)
	if p.MaxDataPoints > 0 {
		points = min(points, int(p.MaxDataPoints))
	}
	if p.Type == "heatmap" {
		points = min(points, maxHeatPoints)
	}
	d.out = Panel{Kind: p.Type, From: v.span.From.UnixMilli(), To: v.span.To.UnixMilli()}
	shortest := dashboard.ScrapeInterval
	d.fail(d.shortest(p.Interval, &shortest))
	for _, t := range p.Targets {
		d.fail(d.shortest(t.Interval, &shortest))
	}
	d.step = v.span.Step(points, shortest)
	d.out.Step = d.step.Milliseconds()
	draw := map[string]func(context.Context){
		"timeseries": d.timeSeries, "heatmap": d.heatmap, "state-timeline": d.timeline,
		"stat": d.stats, "gauge": d.stats, "bargauge": d.stats, "barchart": d.stats,
		"table": d.table, "logs": d.records, "alertlist": d.alerts, "text": func(context.Context) {},
	}[p.Type]
	if draw == nil {
		d.fail(fmt.Errorf("the desk does not know panels of the type %s", p.Type))
		return d.out
	}
	for _, t := range p.Transformations {
		d.fail(fmt.Errorf("the desk does not know the transformation %s", t.ID))
	}
	draw(ctx)
	return d.out
}

// draft is a panel while it is drawn.
type draft struct {
	view  *View
	panel dashboard.Panel
	given Given // nil if the stores are asked
	step  time.Duration
	out   Panel
}

func (d *draft) fail(err error) {
	if err != nil && !slices.Contains(d.out.Problems, err.Error()) {
		d.out.Problems = append(d.out.Problems, backend.Cut(err.Error(), 1000))
	}
}

func (d *draft) shortest(text string, step *time.Duration) error {
	if text == "" {
		return nil
	}
	text, err := d.view.expand(context.Background(), text, nil)
	if err != nil {
		return err
	}
	least, err := dashboard.ParseStep(text)
	*step = max(*step, least)
	return err
}

// Given is where the points of a panel come from instead of its queries: a series for each of them, by the query's
// letter.
type Given map[string][]metrics.Series

// From draws a panel of given points.
func (v *View) From(ctx context.Context, p dashboard.Panel, points int, given Given) Panel {
	d := &draft{view: v, panel: p, given: given}
	return d.draw(ctx, points)
}
