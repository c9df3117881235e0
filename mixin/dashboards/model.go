package dashboards

import (
	"fmt"
	"slices"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// A board is a dashboard.
type board struct {
	file, uid, title, about string
	variables               []dashboard.VariableModel // besides the data sources
	alerts                  string                    // matchers of the alerts that are marked in its panels
	rows                    []row
}

// A row is a question, with the panels that answer it.
type row struct {
	id     uint32
	title  string
	panels []panel
}

// A panel has an id that links may name: it stays when a panel moves.
type panel struct {
	id            uint32
	kind          string // Grafana's type of panel
	title, about  string
	unit          string
	width, height uint32
	queries       []query
	alerts        []string // those it is about, besides those that name it as theirs
	steps         []step
	links         []dashboard.DashboardLink // of its values
	min, max      *float64
	decimals      *float64
	options       map[string]any
	custom        map[string]any
	overrides     []dashboard.DashboardFieldConfigSourceOverrides
}

// A step is from where on a value has another color.
type step struct {
	from  float64
	color string
}

func (b board) asksForLogs() bool {
	return slices.ContainsFunc(b.rows, func(r row) bool {
		return slices.ContainsFunc(r.panels, func(p panel) bool { return p.source() == "${logs}" })
	})
}

func (p panel) source() string { return *p.queries[0].Datasource.Uid }

// A query is one of a panel, in the form that both kinds of data source read.
type query struct {
	RefID        string                `json:"refId"`
	Datasource   *common.DataSourceRef `json:"datasource"`
	Expr         string                `json:"expr"`
	LegendFormat string                `json:"legendFormat,omitempty"`
	QueryType    string                `json:"queryType,omitempty"`
	EditorMode   string                `json:"editorMode,omitempty"`
	Format       string                `json:"format,omitempty"`
	Range        bool                  `json:"range,omitempty"`
	Instant      bool                  `json:"instant,omitempty"`
	Exemplar     bool                  `json:"exemplar,omitempty"`
	MaxLines     int                   `json:"maxLines,omitempty"`
}

// ImplementsDataqueryVariant, DataqueryType, Equals and Validate make it a query to the SDK.
func (q query) ImplementsDataqueryVariant() {}

func (q query) DataqueryType() string                { return *q.Datasource.Type }
func (q query) Equals(other variants.Dataquery) bool { return q == other }
func (q query) Validate() error                      { return nil }

func pointer[T any](v T) *T { return &v }

// tag is what dashboards find each other by.
const tag = "sockscope"

// metrics is the data source that all panels but those with log records ask.
func metrics() *common.DataSourceRef {
	return &common.DataSourceRef{Type: pointer("prometheus"), Uid: pointer("${datasource}")}
}

// model is of the kind that Grafana 10 loads, too.
func (s service) model(b board) dashboard.Dashboard { //nolint:staticcheck // dashboardv2 needs Grafana 12
	d := *dashboard.NewDashboard()
	d.Uid, d.Title = pointer(b.uid), pointer(b.title)
	d.Description = pointer(b.about + "\n\n" + Mark)
	d.Tags = []string{tag}
	d.Editable = pointer(false)
	d.GraphTooltip = pointer(dashboard.DashboardCursorSyncCrosshair)
	d.Time = &dashboard.DashboardDashboardTime{From: "now-30m", To: "now"}
	d.Refresh = pointer("10s")
	d.Links = []dashboard.DashboardLink{{
		Title: "Dashboards", Type: dashboard.DashboardLinkTypeDashboards, Tags: []string{tag}, Icon: "external link",
		AsDropdown: true, IncludeVars: true, KeepTime: true,
	}, {
		Title: "Runbooks", Type: dashboard.DashboardLinkTypeLink, Url: pointer(s.RunbookURL + "README.md"), Icon: "doc",
		Tags: []string{}, TargetBlank: true,
	}}
	d.Templating.List = []dashboard.VariableModel{sourceVariable("datasource", "Metrics", "prometheus", "prometheus", "Prometheus")}
	if b.asksForLogs() {
		d.Templating.List = append(d.Templating.List, sourceVariable("logs", "Logs", s.logs.kind, s.logs.uid, s.logs.title))
	}
	d.Templating.List = append(d.Templating.List, b.variables...)
	d.Annotations.List = s.annotations(b)
	y := uint32(0)
	for _, r := range b.rows {
		d.Panels = append(d.Panels, dashboard.PanelOrRowPanel{RowPanel: &dashboard.RowPanel{
			Type: "row", Id: r.id, Title: pointer(r.title), GridPos: &dashboard.GridPos{X: 0, Y: y, W: columns, H: 1}, Panels: []dashboard.Panel{},
		}})
		y++
		x, tallest := uint32(0), uint32(0)
		for _, p := range r.panels {
			if x+p.width > columns {
				x, y, tallest = 0, y+tallest, 0
			}
			made := s.panel(p)
			made.GridPos = &dashboard.GridPos{X: x, Y: y, W: p.width, H: p.height}
			d.Panels = append(d.Panels, dashboard.PanelOrRowPanel{Panel: &made})
			x, tallest = x+p.width, max(tallest, p.height)
		}
		y += tallest
	}
	return d
}

// columns is how wide a dashboard is.
const columns = 24

// Mark is in the description of each dashboard that is made here.
const Mark = "Made by sockscope mixin: to change it, save a copy."

// annotations marks in all panels when alerts fired, when processes started, and when drills had a fault in force.
func (s service) annotations(b board) []dashboard.AnnotationQuery {
	list := []dashboard.AnnotationQuery{{
		Name: "Annotations & Alerts", Type: pointer("dashboard"), BuiltIn: pointer(1.0), Enable: true, Hide: pointer(true),
		IconColor: "rgba(0, 211, 255, 1)", Datasource: &common.DataSourceRef{Type: pointer("grafana"), Uid: pointer("-- Grafana --")},
	}}
	if b.alerts == "" {
		return list
	}
	return append(list, dashboard.AnnotationQuery{
		Name: "Alerts", Enable: true, Hide: pointer(false), IconColor: "red", Datasource: metrics(),
		Expr: pointer("max by (alertname, severity, job, " + s.NamespaceLabel + ", instance) (" + firing(b.alerts) + ")"),
		Step: pointer("15s"), TitleFormat: pointer("{{alertname}}"), TextFormat: pointer("{{job}} {{" + s.NamespaceLabel + "}} {{instance}}"),
		TagKeys: pointer("severity"), UseValueForTime: pointer(false),
	}, dashboard.AnnotationQuery{
		Name: "Starts", Enable: true, Hide: pointer(false), IconColor: "blue", Datasource: metrics(),
		Expr: pointer(`changes(process_start_time_seconds{` + joined(`job=~"$job"`, s.Selector) + `}[1m]) > 0`),
		Step: pointer("30s"), TitleFormat: pointer("{{job}} started"), TextFormat: pointer("{{instance}}"), TagKeys: pointer("job"),
		UseValueForTime: pointer(false),
	}, dashboard.AnnotationQuery{
		Name: "Drills", Enable: true, Hide: pointer(false), IconColor: "purple", Datasource: metrics(),
		Expr: pointer("max by (drill) (" + s.labelled("sockscope_drill_active") + ") == 1"),
		Step: pointer("5s"), TitleFormat: pointer("Drill {{drill}}"), TextFormat: pointer("from when its fault was injected until it was healed"),
		TagKeys: pointer("drill"), UseValueForTime: pointer(false),
	})
}

func (s service) panel(p panel) dashboard.Panel {
	about := p.about
	var links []dashboard.DashboardLink
	alerts := slices.Clone(p.alerts)
	for _, alert := range s.alerts[p.title] {
		if !slices.Contains(alerts, alert) {
			alerts = append(alerts, alert)
		}
	}
	for _, alert := range alerts {
		url := s.RunbookURL + alert + ".md"
		about += fmt.Sprintf("\n\nAlert: [%s](%s)", alert, url)
		links = append(links, dashboard.DashboardLink{
			Title: "Runbook of " + alert, Type: dashboard.DashboardLinkTypeLink, Url: pointer(url), Tags: []string{}, TargetBlank: true,
		})
	}
	made := dashboard.Panel{
		Type: p.kind, Id: pointer(p.id), Title: pointer(p.title), Description: pointer(strings.TrimSpace(about)),
		Datasource: p.queries[0].Datasource, Links: links, Options: p.options,
	}
	for i, q := range p.queries {
		q.RefID = string(rune('A' + i))
		made.Targets = append(made.Targets, q)
	}
	defaults := dashboard.FieldConfig{Min: p.min, Max: p.max, Decimals: p.decimals, Links: p.links}
	if p.unit != "" {
		defaults.Unit = pointer(p.unit)
	}
	if p.custom != nil {
		defaults.Custom = p.custom
	}
	if p.kind != "logs" && p.kind != "heatmap" {
		steps := []dashboard.Threshold{{Color: "green"}}
		for _, one := range p.steps {
			steps = append(steps, dashboard.Threshold{Value: pointer(one.from), Color: one.color})
		}
		if slices.ContainsFunc(p.steps, func(s step) bool { return s.color == "green" }) { // low is bad
			steps[0].Color = "red"
		}
		defaults.Thresholds = &dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute, Steps: steps}
	}
	overrides := p.overrides
	if overrides == nil {
		overrides = []dashboard.DashboardFieldConfigSourceOverrides{}
	}
	made.FieldConfig = &dashboard.FieldConfigSource{Defaults: defaults, Overrides: overrides}
	return made
}

// joined joins what is not empty by commas.
func joined(parts ...string) string { return join(", ", parts) }

// sentences joins what is not empty by spaces.
func sentences(parts ...string) string { return join(" ", parts) }

func join(separator string, parts []string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(parts), func(p string) bool { return p == "" }), separator)
}
