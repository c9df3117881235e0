package drawing

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/internal/desk/metrics"
)

// source says which kind of store a target asks.
func (d *draft) source(t dashboard.Target) string {
	switch {
	case t.Datasource != nil && t.Datasource.Type != "":
		return t.Datasource.Type
	case d.panel.Datasource != nil:
		return d.panel.Datasource.Type
	}
	return ""
}

// answer is what a target gave.
type answer struct {
	target dashboard.Target
	expr   string
	series []metrics.Series
}

// ask asks all targets at once.
func (d *draft) ask(ctx context.Context) []answer {
	var targets []dashboard.Target
	for _, t := range d.panel.Targets {
		if !t.Hide {
			targets = append(targets, t)
		}
	}
	answers, more, errs := make([]answer, len(targets)), make([]bool, len(targets)), make([]error, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() {
			answers[i].target = t
			expr, err := d.view.expand(ctx, t.Expr, d.view.span.BuiltIn(d.step))
			if err != nil {
				errs[i] = err
				return
			}
			answers[i].expr = expr
			answers[i].series, more[i], errs[i] = d.one(ctx, t, expr)
		})
	}
	wg.Wait()
	for i := range targets {
		d.fail(errs[i])
		if more[i] {
			d.out.More++
		}
	}
	return answers
}

// one asks one target.
func (d *draft) one(ctx context.Context, t dashboard.Target, expr string) (list []metrics.Series, more bool, err error) {
	if d.given != nil {
		return d.given[t.Ref], false, nil
	}
	span := d.view.span
	if source := d.source(t); source != "prometheus" {
		if err := d.rightStore(source); err != nil {
			return nil, false, err
		}
		step := max(d.step, time.Second).Truncate(time.Second)
		series, err := d.view.drawer.Logs.Count(ctx, expr, span.From.Truncate(step), span.To, step)
		if err != nil {
			return nil, false, err
		}
		for _, s := range series[:min(len(series), maxSeries)] {
			converted := metrics.Series{Labels: s.Labels}
			for _, p := range s.Points {
				converted.Points = append(converted.Points, metrics.Point{At: p.At.UnixMilli(), Value: p.Value})
			}
			list = append(list, converted)
		}
		return list, len(series) > maxSeries, nil
	}
	if t.Instant {
		return d.view.drawer.Prometheus.Instant(ctx, expr, span.To, maxRows)
	}
	from, to := d.grid()
	return d.view.drawer.Prometheus.Range(ctx, expr, from, to, d.step, maxSeries)
}

// grid are the first and the last time that is asked for: multiples of the step, so that a panel does not change by
// itself while time goes on.
func (d *draft) grid() (from, to time.Time) {
	return d.view.span.From.Truncate(d.step), d.view.span.To.Truncate(d.step)
}

// rightStore makes sure that the log store understands a target's query.
func (d *draft) rightStore(source string) error {
	stores := map[string]string{"loki": "Loki", "victoriametrics-logs-datasource": "VictoriaLogs"}
	switch store := d.view.drawer.Logs; {
	case stores[source] == "":
		return fmt.Errorf("the desk does not know the data source %q", source)
	case store == nil:
		return errors.New("no address of a log store is set")
	case store.Name() != stores[source]:
		return fmt.Errorf("the query is one for %s, and the log store is %s", stores[source], store.Name())
	}
	return nil
}
