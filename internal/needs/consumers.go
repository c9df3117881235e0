package needs

import (
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/sockscope/sockscope/deploy"
	"github.com/sockscope/sockscope/internal/contract"
	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/internal/desk/metrics"
	"github.com/sockscope/sockscope/mixin"
)

// Kind is what asks for metrics.
type Kind string

// The kinds of consumers.
const (
	Alert Kind = "alert"
	Panel Kind = "panel" // of a dashboard
	Page  Kind = "page"  // of the desk, or a part of one
)

// Consumer is something that people look at or are called by.
type Consumer struct {
	Kind Kind
	Name string
	Need *Need
}

// Consumers returns the alerts of a transport and those that all transports share. The desk is made for the transport
// websocket, with which the dashboards begin, too: both are returned with its alerts only. Those that ask for nothing
// of a service are left out.
func Consumers(transport string) ([]Consumer, error) {
	c := mixin.Default()
	c.Transports = []string{transport}
	groups, err := mixin.Groups(c)
	if err != nil {
		return nil, err
	}
	recorded := make(records)
	for _, g := range groups {
		for _, r := range g.Records {
			recorded[r.Name] = append(recorded[r.Name], r)
		}
	}
	list := consumers{records: recorded, at: make(map[string]int)}
	for _, g := range groups {
		for _, a := range g.Alerts {
			for _, level := range a.Levels {
				if err := list.add(Alert, a.Name, level.Expr, allOf); err != nil {
					return nil, fmt.Errorf("alert %s: %w", a.Name, err)
				}
			}
		}
	}
	if transport == contract.DefaultPrefix {
		if err := list.addDashboards(); err != nil {
			return nil, err
		}
		for _, q := range metrics.Overview("", "") {
			if err := list.add(Page, "Metrics: "+q.Title, q.Query, allOf); err != nil {
				return nil, fmt.Errorf("the desk's table %q: %w", q.Title, err)
			}
		}
	}
	return list.all, nil
}

// consumers collects consumers.
type consumers struct {
	records records
	all     []Consumer
	at      map[string]int // in all, by kind and name
}

// add adds a query of a consumer. Both says what several of them need together.
func (c *consumers) add(kind Kind, name, expr string, both func(...*Need) *Need) error {
	need, err := c.records.of(expr)
	if err != nil || need == nil {
		return err
	}
	key := string(kind) + " " + name
	if i, ok := c.at[key]; ok {
		c.all[i].Need = both(c.all[i].Need, need)
		return nil
	}
	c.at[key] = len(c.all)
	c.all = append(c.all, Consumer{kind, name, need})
	return nil
}

func (c *consumers) addDashboards() error {
	const folder = "grafana/dashboards"
	entries, err := fs.ReadDir(deploy.Files(), folder)
	if err != nil {
		return fmt.Errorf("list the dashboards: %w", err)
	}
	for _, entry := range entries {
		name := path.Join(folder, entry.Name())
		text, err := fs.ReadFile(deploy.Files(), name)
		if err != nil {
			return fmt.Errorf("read the dashboard: %w", err)
		}
		board, err := dashboard.Parse(name, text)
		if err != nil {
			return err
		}
		queries, err := board.Queries(map[string]string{
			"transport": contract.DefaultPrefix, "__rate_interval": "1m", "__range": "1h", "__auto": "1m",
		})
		if err != nil {
			return err
		}
		for _, q := range queries {
			if q.Datasource != "prometheus" {
				continue
			}
			both := allOf
			if slices.ContainsFunc(board.AllPanels(), func(p dashboard.Panel) bool { return p.Title == q.Panel && p.Type == "heatmap" }) {
				both = anyOf // one query for native histograms, one for classic ones
			}
			if err := c.add(Panel, q.Panel, q.Expr, both); err != nil {
				return fmt.Errorf("dashboard %s, panel %s: %w", board.UID, q.Panel, err)
			}
		}
	}
	return nil
}

// Needs reports whether there is no result without a metric, if everything else is there.
func (n *Need) Needs(m contract.Metric) bool {
	series := SeriesNames(m.Name, m.Type)
	return !n.Met(func(selector []*labels.Matcher) bool {
		return !slices.ContainsFunc(series, Name(selector).Matches)
	})
}

// SeriesNames returns the names of the series that a metric has: a histogram has several in its classic form, and in
// its native form that of the metric.
func SeriesNames(name string, t contract.Type) []string {
	if t != contract.Histogram {
		return []string{name}
	}
	return []string{name, name + "_bucket", name + "_count", name + "_sum"}
}

// FillIn writes into a contract what needs each metric.
func FillIn(c *contract.Contract) error {
	all, err := Consumers(contract.DefaultPrefix)
	if err != nil {
		return err
	}
	for _, part := range c.Parts {
		for i, m := range part.Metrics {
			var by contract.NeededBy
			for _, consumer := range all {
				if !consumer.Need.Needs(m) {
					continue
				}
				switch consumer.Kind {
				case Alert:
					by.Alerts = append(by.Alerts, consumer.Name)
				case Panel:
					by.Panels = append(by.Panels, consumer.Name)
				case Page:
					by.Pages = append(by.Pages, consumer.Name)
				}
			}
			part.Metrics[i].NeededBy = by
		}
	}
	return nil
}
