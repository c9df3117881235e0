package desk

import (
	"cmp"
	"context"
	_ "embed"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/sockscope/sockscope/instrument/console"
	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/internal/desk/drawing"
	"github.com/sockscope/sockscope/internal/desk/inbox"
	"github.com/sockscope/sockscope/internal/desk/metrics"
	"github.com/sockscope/sockscope/internal/desk/status"
	"github.com/sockscope/sockscope/internal/top"
)

// overviewJSON is the dashboard on the start page.
//
//go:embed overview.json
var overviewJSON []byte

// live reads the panels of the overview from a sample of a live console, by their ids: values by the names of the
// series. It is for the time before Prometheus has any, and leaves out what a console doesn't know.
func live() map[int]func(console.Sample) map[string]float64 {
	return map[int]func(console.Sample) map[string]float64{
		4: func(s console.Sample) map[string]float64 {
			all := map[string]float64{"": 0}
			for _, e := range s.Endpoints {
				all[""] += float64(e.Open)
			}
			return all
		},
		6: func(s console.Sample) map[string]float64 {
			return worst(s, func(q console.Quantiles) map[string]float64 { return map[string]float64{"": q.P99} })
		},
		7: func(s console.Sample) map[string]float64 {
			all := make(map[string]float64)
			for _, e := range s.Endpoints {
				all[e.Namespace] += float64(e.Open)
			}
			return all
		},
		8: func(s console.Sample) map[string]float64 {
			all := map[string]float64{"connected": 0, "closed": 0}
			for _, e := range s.Endpoints {
				all["connected"] += e.Opened
				for status, n := range e.Refused {
					all[status] += n
				}
				for _, n := range e.Closed {
					all["closed"] -= n
				}
			}
			return all
		},
		9: func(s console.Sample) map[string]float64 {
			return worst(s, func(q console.Quantiles) map[string]float64 {
				return map[string]float64{"p50": q.P50, "p95": q.P95, "p99": q.P99}
			})
		},
		10: func(s console.Sample) map[string]float64 {
			all := make(map[string]float64)
			for _, e := range s.Endpoints {
				for reason, n := range e.Closed {
					all[reason] += n
				}
			}
			return all
		},
	}
}

// worst are the quantiles of the slowest endpoint: they can't be added up.
func worst(s console.Sample, of func(console.Quantiles) map[string]float64) map[string]float64 {
	all := make(map[string]float64)
	for _, e := range s.Endpoints {
		if e.Handling == nil {
			continue
		}
		for name, v := range of(*e.Handling) {
			all[name] = max(all[name], v)
		}
	}
	return all
}

// lastsFor is how many seconds a sample of an instance counts where it has no newer one: samples of several instances
// are not taken at the same moment, and a busy instance takes fewer.
const lastsFor = 5

// given turns the samples of consoles into series for a panel. Those of several instances are added up second by
// second, but for times, of which the longest counts.
func given(all []console.Series, read func(console.Sample) map[string]float64, isTime bool) drawing.Given {
	var instances []map[int64]map[string]float64 // values by second and name
	seconds := make(map[int64]bool)
	for _, series := range all {
		values := make(map[int64]map[string]float64)
		for _, s := range series.Samples {
			values[s.Time.Unix()] = read(s)
			seconds[s.Time.Unix()] = true
		}
		instances = append(instances, values)
	}
	points := make(map[string][]metrics.Point)
	for _, second := range slices.Sorted(maps.Keys(seconds)) {
		together := make(map[string]float64)
		for _, values := range instances {
			for name, v := range newest(values, second) {
				if isTime {
					together[name] = max(together[name], v)
				} else {
					together[name] += v
				}
			}
		}
		for name, v := range together {
			points[name] = append(points[name], metrics.Point{At: second * 1000, Value: v})
		}
	}
	var list []metrics.Series
	for _, name := range slices.Sorted(maps.Keys(points)) {
		list = append(list, metrics.Series{Labels: map[string]string{"series": name}, Points: points[name]})
	}
	return drawing.Given{"A": list}
}

// newest returns the values of an instance at a second, or the last ones before.
func newest(values map[int64]map[string]float64, second int64) map[string]float64 {
	for at := second; at > second-lastsFor; at-- {
		if v, ok := values[at]; ok {
			return v
		}
	}
	return nil
}

// overviewPanel answers what is drawn in a panel of the overview: by Prometheus, or by the live consoles as long as it
// has nothing.
func (d *Desk) overviewPanel(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	p, ok := d.overview.Panel(id)
	if err != nil || !ok {
		writeError(w, http.StatusNotFound, "the overview has no such panel")
		return
	}
	view, _, err := d.view(d.overview, r.URL.Query())
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	points, err := strconv.Atoi(cmp.Or(r.URL.Query().Get("points"), "300"))
	if err != nil {
		writeError(w, http.StatusBadRequest, "points is a number")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), drawingTimeout)
	defer cancel()
	var drawn drawing.Panel
	awaited := d.awaited("prometheus")
	if awaited == "" {
		drawn = view.Panel(ctx, p, points)
	}
	if awaited != "" || drawn.Empty() {
		addresses, _ := d.consoles.all() // where connections are listed, it is said what is wrong with files
		if read := live()[id]; read != nil && len(addresses) > 0 {
			problems := drawn.Problems
			drawn = d.livePanel(ctx, addresses, view, p, points, read)
			drawn.Problems = append(problems, drawn.Problems...)
		} else if awaited != "" {
			drawn = drawing.Panel{Kind: p.Type, Problems: []string{awaited}}
		}
	}
	writeJSON(w, http.StatusOK, drawn)
}

// livePanel draws a panel from samples of the live consoles.
func (d *Desk) livePanel(ctx context.Context, addresses []string, view *drawing.View, p dashboard.Panel, points int, read func(console.Sample) map[string]float64) drawing.Panel {
	all, err := top.Series(ctx, top.Options{Consoles: addresses, Client: d.client}, view.Span().From)
	one := p
	one.Targets = []dashboard.Target{{Ref: "A", Datasource: &dashboard.Datasource{Type: "prometheus"}, Expr: "live", Legend: "{{series}}"}}
	drawn := view.From(ctx, one, points, given(all, read, p.FieldConfig.Defaults.Unit == "s"))
	if err != nil {
		drawn.Problems = append(drawn.Problems, err.Error())
	}
	return drawn
}

// overviewData is what the start page shows.
type overviewData struct {
	Reports  []status.Report
	Expected int // components that must be there
	Ready    int // how many of them are
	Pending  int // how many of them are on their way
	Building bool
	Inbox    inbox.View
	Findings []finding
	Time     timeData
	Panels   []panelData
}

func newOverviewData(reports []status.Report, view inbox.View) overviewData {
	data := overviewData{Reports: reports, Inbox: view}
	for _, r := range reports {
		switch {
		case r.State == status.Ready:
			data.Ready++
			data.Expected++
		case !r.Optional:
			data.Expected++
		}
		if r.Pending() {
			data.Pending++
		}
		data.Building = data.Building || r.State == status.Building
	}
	return data
}

func (d *Desk) overviewPage(w http.ResponseWriter, r *http.Request) {
	data := newOverviewData(d.watcher.Reports(), d.inbox.View())
	data.Findings = d.findings(r.Context())
	view, times, err := d.view(d.overview, r.URL.Query())
	if err != nil {
		d.problem(w, http.StatusBadRequest, "overview", "That is no range of time", "In its address, "+err.Error()+".")
		return
	}
	data.Time = times
	for _, p := range d.overview.Panels {
		shown := panelOf(r.Context(), view, d.overview, p, r.URL.Query())
		shown.Source, shown.Alone = "/api/overview/"+strconv.Itoa(p.ID), ""
		data.Panels = append(data.Panels, shown)
	}
	d.show(w, http.StatusOK, "overview", page{Title: "Overview", Section: "overview", Refresh: 3, Script: "dashboard.js", Data: data})
}
