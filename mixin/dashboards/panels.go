package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// series is a panel with lines over time.
func series(id uint32, title, unit, about string, queries ...query) panel {
	return panel{
		id: id, kind: "timeseries", title: title, unit: unit, about: about, queries: queries, width: 12, height: 8,
		options: map[string]any{
			"legend":  map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}},
			"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
		},
		custom: map[string]any{"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "auto", "spanNulls": false},
	}
}

// number is a panel with one value, and how it came to it.
func number(id uint32, title, unit, about string, queries ...query) panel {
	return panel{
		id: id, kind: "stat", title: title, unit: unit, about: about, queries: queries, width: 4, height: 4,
		options: map[string]any{
			"colorMode": "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "auto", "wideLayout": true,
			"showPercentChange": false, "percentChangeColorMode": "standard",
			"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
		},
	}
}

// bars is a panel with a bar for each of several shares, as they are now.
func bars(id uint32, title, about string, queries ...query) panel {
	for i := range queries {
		queries[i].Range, queries[i].Instant = false, true
	}
	return panel{
		id: id, kind: "bargauge", title: title, unit: "percentunit", about: about, queries: queries, width: 8, height: 8,
		options: map[string]any{
			"displayMode": "basic", "orientation": "horizontal", "valueMode": "color", "namePlacement": "auto", "showUnfilled": true,
			"sizing": "auto", "minVizWidth": 8, "minVizHeight": 16, "maxVizHeight": 300,
			"legend":        map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": false, "calcs": []string{}},
			"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
		},
	}
}

// heat is a panel with all durations of a histogram over time: the color says how many.
func heat(id uint32, title, about string, queries ...query) panel {
	return panel{
		id: id, kind: "heatmap", title: title, about: about, queries: queries, width: 12, height: 8,
		options: map[string]any{
			"calculate": false, "showValue": "never", "cellGap": 1,
			"color":        map[string]any{"mode": "scheme", "scheme": "Turbo", "fill": "dark-orange", "scale": "exponential", "exponent": 0.5, "steps": 64, "reverse": false},
			"yAxis":        map[string]any{"axisPlacement": "left", "unit": "s", "reverse": false},
			"rowsFrame":    map[string]any{"layout": "auto"},
			"filterValues": map[string]any{"le": 1e-9},
			"exemplars":    map[string]any{"color": "rgba(255,0,255,0.7)"},
			"legend":       map[string]any{"show": true},
			"tooltip":      map[string]any{"mode": "single", "yHistogram": true, "showColorScale": false},
		},
	}
}

// list is a panel with a row for each series, as it is now. Labels are columns, but for those that are hidden.
func list(id uint32, title, about string, q query, value string, hidden ...string) panel {
	q.Range, q.Instant, q.Format = false, true, "table"
	hide := func(field string) dashboard.DashboardFieldConfigSourceOverrides {
		return override(field, "custom.hidden", true)
	}
	overrides := []dashboard.DashboardFieldConfigSourceOverrides{hide("Time")}
	if value == "" {
		overrides = append(overrides, hide("Value"))
	} else {
		overrides = append(overrides, override("Value", "displayName", value))
	}
	for _, field := range hidden {
		overrides = append(overrides, hide(field))
	}
	return panel{
		id: id, kind: "table", title: title, unit: "short", about: about, queries: []query{q}, width: 12, height: 8, overrides: overrides,
		options: map[string]any{"showHeader": true, "cellHeight": "sm", "frameIndex": 0},
	}
}

func override(field, property string, value any) dashboard.DashboardFieldConfigSourceOverrides {
	return dashboard.DashboardFieldConfigSourceOverrides{
		Matcher:    dashboard.MatcherConfig{Id: "byName", Options: field},
		Properties: []dashboard.DynamicConfigValue{{Id: property, Value: value}},
	}
}

func (p panel) sized(width, height uint32) panel { p.width, p.height = width, height; return p }

// alerting says which alerts the panel is about.
func (p panel) alerting(alerts ...string) panel { p.alerts = alerts; return p }

// limits draws lines where values become bad, or where they become good again.
func (p panel) limits(steps ...step) panel {
	p.steps = steps
	if p.kind == "timeseries" {
		p.custom["thresholdsStyle"] = map[string]any{"mode": "dashed"}
	}
	return p
}

func warn(from float64) step { return step{from, "orange"} }
func bad(from float64) step  { return step{from, "red"} }
func good(from float64) step { return step{from, "green"} }

// toOne is for shares and for what is so or not: nothing is above 1.
func (p panel) toOne(lowest float64) panel { p.min, p.max = &lowest, pointer(1.0); return p }

// above has the axis begin at a value.
func (p panel) above(lowest float64) panel { p.min = &lowest; return p }

func (p panel) rounded() panel { p.decimals = pointer(0.0); return p }

func (p panel) stacked() panel {
	p.custom["stacking"] = map[string]any{"mode": "normal", "group": "A"}
	return p
}

// linking adds a link to each value of a column.
func (p panel) linking(field, title, url string) panel {
	link := dashboard.DashboardLink{Title: title, Type: dashboard.DashboardLinkTypeLink, Url: &url, Tags: []string{}, TargetBlank: true}
	p.overrides = append(p.overrides, override(field, "links", []dashboard.DashboardLink{link}))
	return p
}
