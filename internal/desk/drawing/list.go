package drawing

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/sockscope/sockscope/internal/backend"
	"github.com/sockscope/sockscope/internal/desk/metrics"
)

// records draws log records, newest first unless the panel wants otherwise.
func (d *draft) records(ctx context.Context) {
	for _, t := range d.panel.Targets {
		if t.Hide {
			continue
		}
		expr, err := d.view.expand(ctx, t.Expr, d.view.span.BuiltIn(d.step))
		if err == nil {
			err = d.rightStore(d.source(t))
		}
		if err != nil {
			d.fail(err)
			continue
		}
		limit := maxRecords
		if t.MaxLines > 0 {
			limit = min(limit, t.MaxLines)
		}
		records, err := d.view.drawer.Logs.Ask(ctx, expr, d.view.span.From, d.view.span.To, limit)
		d.fail(err)
		d.out.Records = append(d.out.Records, records...)
	}
	if d.panel.Options.SortOrder != "Ascending" {
		slices.Reverse(d.out.Records)
	}
}

// alerts draws the alerts that are pending or fire, the newest first.
func (d *draft) alerts(ctx context.Context) {
	list, err := d.view.drawer.Prometheus.Alerts(ctx)
	d.fail(err)
	o := d.panel.Options
	for _, a := range Alerts(list) {
		shown, filtered := o.StateOf[a.State]
		if o.AlertName != "" && !strings.Contains(a.Name, o.AlertName) || filtered && !shown {
			continue
		}
		d.out.Alerts = append(d.out.Alerts, a)
	}
	most := maxRows
	if o.MaxItems > 0 {
		most = min(most, o.MaxItems)
	}
	if n := len(d.out.Alerts) - most; n > 0 {
		d.out.Alerts, d.out.More = d.out.Alerts[:most], n
	}
}

// Alerts puts alerts into the order in which a person wants to see them: firing before pending, then the newest first.
func Alerts(list []metrics.Alert) []Alert {
	var alerts []Alert
	for _, a := range list {
		labels := maps.Clone(a.Labels)
		for _, name := range []string{"alertname", "severity", "transport", "symptom"} {
			delete(labels, name)
		}
		alerts = append(alerts, Alert{
			Name: backend.Cut(a.Labels["alertname"], maxName), Of: backend.Cut(labelText(labels), maxName), Severity: backend.Cut(a.Labels["severity"], maxName),
			State: a.State, Since: a.Since, Summary: backend.Cut(a.Annotations["summary"], maxName),
			Runbook: a.Annotations["runbook_url"], Board: a.Annotations["dashboard_url"],
		})
	}
	slices.SortStableFunc(alerts, func(a, b Alert) int {
		if a.State != b.State {
			return strings.Compare(a.State, b.State) // firing before pending
		}
		return b.Since.Compare(a.Since)
	})
	return alerts
}
