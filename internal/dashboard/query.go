package dashboard

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
)

// Query is a query of a panel, ready to be run.
type Query struct {
	Panel      string // the panel's title
	Ref        string // distinguishes the queries of one panel
	Datasource string // the type of data source that can run it, such as prometheus or loki
	Type       string // how the data source treats the expression, in its own terms; often empty
	Expr       string
}

// String names the query for people.
func (q Query) String() string { return fmt.Sprintf("%s (%s): %s", q.Panel, q.Ref, q.Expr) }

// Queries returns the queries of all panels, in the dashboard's order. The values replace the variables in them: those
// of the dashboard, and those that Grafana sets itself, such as __rate_interval. A variable of the dashboard that has
// no value here has its initial one. It is an error when a query needs one that is not there, or when a panel has no
// query.
func (d *Dashboard) Queries(values map[string]string) ([]Query, error) {
	all := make(map[string]string)
	for _, v := range d.Templating.List {
		if v.Type != "datasource" {
			all[v.Name] = v.initial()
		}
	}
	maps.Copy(all, values)
	var queries []Query
	for _, panel := range d.AllPanels() {
		if len(panel.Targets) == 0 {
			return nil, fmt.Errorf("panel %q has no query", panel.Title)
		}
		for _, target := range panel.Targets {
			source := cmp.Or(target.Datasource, panel.Datasource)
			if source == nil || source.Type == "" || target.Expr == "" {
				return nil, fmt.Errorf("query %s of panel %q has no data source or no expression", target.Ref, panel.Title)
			}
			expr, err := substitute(target.Expr, all)
			if err != nil {
				return nil, fmt.Errorf("query %s of panel %q: %w", target.Ref, panel.Title, err)
			}
			queries = append(queries, Query{panel.Title, target.Ref, source.Type, target.Type, expr})
		}
	}
	return queries, nil
}

// Grafana writes a variable as $name, ${name}, ${name:format} or [[name:format]].
var variable = regexp.MustCompile(`\$(\w+)|\$\{(\w+)(?::(\w+))?\}|\[\[(\w+)(?::(\w+))?\]\]`)

func substitute(expr string, values map[string]string) (string, error) {
	return Expand(expr, func(name, _ string) (string, error) {
		value, ok := values[name]
		if !ok {
			return "", fmt.Errorf("no value for the variable %s", name)
		}
		return value, nil
	})
}
