package drawing

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sockscope/sockscope/internal/dashboard"
)

// drawnProperties are what dashboards may set and the desk makes something of, with the values that it knows; none is
// any. "options." and the kind of panel come before what belongs to one kind, and what is said of fields, by default or
// in overrides, begins with "field.".
func drawnProperties() map[string][]string {
	known := map[string][]string{
		"dashboard.time.from": nil, "dashboard.time.to": nil, "dashboard.links.type": {"link", "dashboards"},
		"dashboard.refresh":      {"", "5s", "10s", "30s", "1m", "5m"},
		"dashboard.graphTooltip": {"1"}, "dashboard.timezone": {"browser"},
		"panel.type":   {"row", "timeseries", "stat", "gauge", "bargauge", "barchart", "heatmap", "state-timeline", "table", "logs", "alertlist", "text"},
		"panel.repeat": {""}, "panel.timeFrom": {""}, "panel.timeShift": {""},
		"target.datasource.type": {"prometheus", "loki", "victoriametrics-logs-datasource"}, "target.format": {"time_series", "table", "heatmap"},
		"target.queryType": {"range", "instant", "statsRange"},
		"variable.type":    {"query", "custom", "interval", "datasource", "textbox", "constant"}, "variable.sort": {"0", "1", "2", "3", "4", "5", "6"},
		"variable.hide": {"0", "1", "2"},
		"matcher.id":    {"byName", "byRegexp", "byFrameRefID", "byType"},

		"field.color.mode": {"fixed", "thresholds", "palette-classic", "palette-classic-by-name"}, "field.mappings.type": {"value", "range", "special", "regex"},
		"field.thresholds.mode": {"absolute", "percentage"}, "field.custom.drawStyle": {"line", "bars", "points"}, "field.custom.showPoints": {"auto", "never", "always"},
		"field.custom.lineInterpolation": {"linear", "smooth", "stepBefore", "stepAfter"}, "field.custom.stacking.mode": {"none", "normal", "percent"},
		"field.custom.lineStyle.fill": {"solid", "dash", "dot"}, "field.custom.thresholdsStyle.mode": {"off", "line", "dashed", "area", "line+area", "dashed+area"},
		"field.custom.scaleDistribution.type": {"linear", "log"}, "field.custom.axisPlacement": {"auto", "left", "right"}, "field.custom.transform": {"negative-Y"},
		"field.custom.cellOptions.type": {"auto", "color-text", "color-background", "gauge"},

		"options.timeseries.legend.displayMode": {"list", "table", "hidden"}, "options.stat.colorMode": {"none", "value", "background", "background_solid"},
		"options.stat.graphMode": {"none", "area"}, "options.stat.textMode": {"auto", "value", "value_and_name", "name"},
		"options.heatmap.calculate": {"false"}, "options.heatmap.yAxis.reverse": {"false"}, "options.logs.sortOrder": {"Descending", "Ascending"},
		"options.text.mode": {"markdown"}, "options.table.showHeader": {"true"}, "options.table.frameIndex": {"0"},
	}
	for _, calcs := range []string{"options.timeseries.legend.calcs", "options.stat.reduceOptions.calcs", "options.gauge.reduceOptions.calcs", "options.bargauge.reduceOptions.calcs"} {
		known[calcs] = []string{"lastNotNull", "last", "firstNotNull", "first", "min", "max", "mean", "sum", "count", "range", "diff", "median"}
	}
	for _, values := range []string{"stat", "gauge", "bargauge"} {
		known["options."+values+".reduceOptions.values"] = []string{"false"}
		known["options."+values+".reduceOptions.fields"] = []string{""}
		known["options."+values+".orientation"] = []string{"auto", "horizontal", "vertical"}
	}
	for _, any := range strings.Fields(`dashboard.uid dashboard.title dashboard.description dashboard.tags dashboard.links.title dashboard.links.url dashboard.links.tags
		panel.id panel.title panel.description panel.gridPos.x panel.gridPos.y panel.gridPos.w panel.gridPos.h panel.collapsed panel.datasource.type panel.datasource.uid
		panel.interval panel.maxDataPoints panel.links.title panel.links.url
		target.refId target.datasource.uid target.expr target.legendFormat target.exemplar target.instant target.range target.hide target.interval target.maxLines
		variable.name variable.label variable.query variable.query.query variable.datasource.type variable.datasource.uid variable.regex variable.multi variable.includeAll
		variable.allValue variable.current.value
		annotation.name annotation.enable annotation.datasource.type annotation.datasource.uid annotation.iconColor annotation.expr annotation.step annotation.titleFormat
		annotation.textFormat annotation.useValueForTime
		field.decimals field.min field.max field.displayName field.noValue field.thresholds.steps.value field.links.url field.custom.lineWidth field.custom.fillOpacity
		field.custom.spanNulls field.custom.axisSoftMin field.custom.axisSoftMax field.custom.axisLabel field.custom.scaleDistribution.log field.custom.hideFrom.legend
		field.custom.hideFrom.viz field.custom.hidden
		options.timeseries.legend.showLegend options.heatmap.yAxis.unit options.heatmap.filterValues.le options.text.content
		options.alertlist.alertName options.alertlist.maxItems options.table.sortBy.displayName options.table.sortBy.desc`) {
		known[any] = nil
	}
	return known
}

// withoutEffect are what only Grafana makes something of: how its own pages behave, what is laid out by itself at the
// desk, and copies of what is said elsewhere.
var withoutEffect = regexp.MustCompile(`^(` + strings.Join([]string{
	`dashboard\.(editable|schemaVersion|version|id|fiscalYearStartMonth|liveNow|preload|weekStart|style)`,
	`(dashboard|panel|field)\.links\.(asDropdown|icon|includeVars|keepTime|targetBlank|tooltip|placement)`, `(panel|field)\.links\.(type|tags)`, `field\.links\.title`,
	`panel\.(pluginVersion|transparent)`,
	`target\.(editorMode|useBackend|disableTextWrap|fullMetaSearch|includeNullMetadata|direction)`,
	`variable\.(refresh|definition|skipUrlSync|description|options|current\.(text|selected)|query\.(refId|qryType))(\..*)?`,
	`annotation\.(builtIn|hide|type|tagKeys|target\..*|filter\..*)`,
	`field\.mappings\.options\..*`, // by the type, which is checked
	`field\.custom\.(lineWidth|pointSize|gradientMode|barAlignment|barWidthFactor|axisColorMode|axisBorderShow|axisCenteredZero|axisGridShow|insertNulls|stacking\.group|hideFrom\.tooltip|width|align|filterable|inspect|minWidth|lineStyle\.dash)`,
	`options\.[a-z-]+\.tooltip\..*`, `options\.[a-z-]+\.legend\.(placement|width|isVisible)`, `options\.(bargauge|state-timeline)\.legend\..*`, `options\.heatmap\.legend\.show`,
	`options\.(stat|gauge|bargauge)\.(justifyMode|wideLayout|displayMode|valueMode|namePlacement|showUnfilled|sizing|minVizWidth|minVizHeight|maxVizHeight|showThresholdLabels|showThresholdMarkers|percentChangeColorMode|showPercentChange|text\..*)`,
	`options\.heatmap\.(showValue|cellGap|color\..*|exemplars\.color|rowsFrame\.layout|yAxis\.axisPlacement|yAxis\.decimals|cellRadius)`,
	`options\.logs\.(dedupStrategy|enableLogDetails|prettifyLogMessage|show\w+|wrapLogMessage|fontSize)`,
	`options\.table\.(cellHeight|footer\..*)`, `options\.state-timeline\.(alignValue|mergeValues|rowHeight|showValue)`, `options\.text\.code\..*`,
}, "|") + `)$`)

// TestShippedDashboardsAreDrawn fails for whatever a shipped dashboard sets that the desk does not know: a kind of
// panel, a unit, a field, a transformation.
func TestShippedDashboardsAreDrawn(t *testing.T) {
	known := drawnProperties()
	for _, path := range shipped(t) {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		properties, err := propertiesOf(content)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			values, drawn := known[name]
			for _, v := range properties[name] {
				ok := drawn && (values == nil || slices.Contains(values, v)) || withoutEffect.MatchString(name)
				switch {
				case name == "field.unit", name == "options.heatmap.yAxis.unit":
					_, ok = unit(v, nil)
				case strings.HasSuffix(name, ".color"), strings.HasSuffix(name, ".fixedColor"):
					ok = ok || knownColor(v)
				case name == "variable.query.query":
					ok = v == "" || regexp.MustCompile(`^(label_values|query_result)\(`).MatchString(v)
				}
				if !ok {
					t.Errorf("%s: the desk does not know %s = %q", path, name, v)
				}
			}
		}
	}
}

func shipped(t *testing.T) []string {
	t.Helper()
	var paths []string
	for _, pattern := range []string{"../../../deploy/grafana/dashboards/*.json", "../../../deploy/victorialogs/grafana/dashboards/*.json", "../overview.json"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no dashboard is like %s (error %v)", pattern, err)
		}
		paths = append(paths, found...)
	}
	return paths
}

// TestShippedPanelsDraw draws every panel where nothing answers: what is said then is that, and nothing else is wrong.
func TestShippedPanelsDraw(t *testing.T) {
	for _, path := range shipped(t) {
		board, err := dashboard.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		store := store{name: "Loki"}
		if strings.Contains(path, "victorialogs") {
			store.name = "VictoriaLogs"
		}
		d := &Drawer{Prometheus: prometheus(t, nil), Logs: store}
		for _, p := range board.AllPanels() {
			for _, problem := range view(d, board, nil).Panel(t.Context(), p, 300).Problems {
				if !strings.Contains(problem, "not asked for") && !strings.Contains(problem, "asked for {") {
					t.Errorf("%s: panel %q: %s", path, p.Title, problem)
				}
			}
		}
	}
}

// TestUnknownPropertiesAreFound makes sure that the test of shipped dashboards can fail.
func TestUnknownPropertiesAreFound(t *testing.T) {
	properties, err := propertiesOf([]byte(`{"panels":[{"type":"row","panels":[{"type":"x","options":{"a":{"b":1}},"targets":[{"c":true}],
		"transformations":[{"id":"merge","options":{"d":[2]}}],
		"fieldConfig":{"defaults":{"e":null,"f":"g"},"overrides":[{"matcher":{"id":"h"},"properties":[{"id":"custom.i","value":{"j":3}}]}]}}]}],
		"templating":{"list":[{"k":4}]},"annotations":{"list":[{"l":5}]},"m":6}`))
	if err != nil {
		t.Fatal(err)
	}
	want := "annotation.l dashboard.m field.custom.i.j field.f matcher.id options.x.a.b panel.type target.c transformation.id transformation.merge.d variable.k"
	if got := strings.Join(slices.Sorted(maps.Keys(properties)), " "); got != want {
		t.Errorf("it sets %s, want %s", got, want)
	}
}

// properties are what a dashboard sets, by name.
type properties map[string][]string

func propertiesOf(content []byte) (properties, error) {
	var board map[string]any
	if err := json.Unmarshal(content, &board); err != nil {
		return nil, err
	}
	p := properties{}
	templating, _ := board["templating"].(map[string]any)
	annotations, _ := board["annotations"].(map[string]any)
	p.each("variable", templating["list"])
	p.each("annotation", annotations["list"])
	p.panels(board["panels"])
	for _, apart := range []string{"templating", "annotations", "panels"} {
		delete(board, apart)
	}
	p.add("dashboard", board)
	return p, nil
}

// add adds a value, or what is in it, under a name.
func (p properties) add(name string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			p.add(name+"."+key, inner)
		}
	case []any:
		for _, inner := range v {
			p.add(name, inner)
		}
	case nil:
	default:
		p[name] = append(p[name], fmt.Sprint(v))
	}
}

func (p properties) each(name string, list any) {
	elements, _ := list.([]any)
	for _, e := range elements {
		p.add(name, e)
	}
}

func (p properties) panels(list any) {
	elements, _ := list.([]any)
	for _, e := range elements {
		panel, _ := e.(map[string]any)
		p.panels(panel["panels"])
		p.each("target", panel["targets"])
		p.add("options."+fmt.Sprint(panel["type"]), panel["options"])
		p.fields(panel["fieldConfig"])
		transformations, _ := panel["transformations"].([]any)
		for _, t := range transformations {
			one, _ := t.(map[string]any)
			p.add("transformation.id", one["id"])
			p.add("transformation."+fmt.Sprint(one["id"]), one["options"])
		}
		for _, apart := range []string{"panels", "targets", "options", "fieldConfig", "transformations"} {
			delete(panel, apart)
		}
		p.add("panel", panel)
	}
}

func (p properties) fields(config any) {
	c, _ := config.(map[string]any)
	p.add("field", c["defaults"])
	overrides, _ := c["overrides"].([]any)
	for _, o := range overrides {
		override, _ := o.(map[string]any)
		matcher, _ := override["matcher"].(map[string]any)
		p.add("matcher.id", matcher["id"])
		list, _ := override["properties"].([]any)
		for _, one := range list {
			property, _ := one.(map[string]any)
			p.add("field."+fmt.Sprint(property["id"]), property["value"])
		}
	}
}
