// Package drawing makes of Grafana's dashboards what the desk's pages draw: it fills in the variables, asks Prometheus
// and the log store, and says for each panel what stands where. The page in the browser only draws.
package drawing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sockscope/sockscope/internal/backend"
	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/internal/desk/metrics"
	"github.com/sockscope/sockscope/internal/logstore"
)

// Limits of what is asked for and drawn.
const (
	maxPoints      = 900
	maxSeries      = 60
	maxHeatPoints  = 180
	maxHeatRows    = 48
	maxExemplars   = 2000
	maxDots        = 60 // exemplars that are drawn
	maxMarks       = 100
	maxRows        = 200
	maxRecords     = 200
	maxOptions     = 500 // values of a variable
	maxName        = 200 // bytes of the name of a series, or of a cell
	maxExpr        = 16 << 10
	maxTitleOfMark = 100
)

// Load reads the dashboards in folders, of which later ones take the place of earlier ones with the same file name.
// They are in the order of their titles.
func Load(folders ...fs.FS) ([]*dashboard.Dashboard, error) {
	byName := make(map[string]*dashboard.Dashboard)
	for _, folder := range folders {
		err := fs.WalkDir(folder, ".", func(name string, _ fs.DirEntry, err error) error {
			if err != nil || path.Ext(name) != ".json" {
				return err
			}
			content, err := fs.ReadFile(folder, name)
			if err != nil {
				return err
			}
			byName[name], err = dashboard.Parse(name, content)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("load the dashboards: %w", err)
		}
	}
	return slices.SortedFunc(maps.Values(byName), func(a, b *dashboard.Dashboard) int { return strings.Compare(a.Title, b.Title) }), nil
}

// Number is a number in JSON, which is null where there is none.
type Number float64

// MarshalJSON writes null for NaN and infinities, which JSON has no words for.
func (n Number) MarshalJSON() ([]byte, error) {
	if v := float64(n); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return strconv.AppendFloat(nil, v, 'g', 9, 64), nil
	}
	return []byte("null"), nil
}

// none is no number.
func none() Number { return Number(math.NaN()) }

func (n Number) exists() bool { return !math.IsNaN(float64(n)) }

// Panel is what a page draws of a panel. Times are in milliseconds since 1970.
type Panel struct {
	Kind     string   `json:"kind"`
	From     int64    `json:"from"`
	To       int64    `json:"to"`
	Step     int64    `json:"step"`
	Problems []string `json:"problems,omitempty"`
	More     int      `json:"more,omitempty"` // at least so many series or rows are left out

	// Of charts.
	Times      []int64     `json:"times,omitempty"`
	Series     []Line      `json:"series,omitempty"`
	Axes       []Axis      `json:"axes,omitempty"`
	Stacked    bool        `json:"stacked,omitempty"`
	Thresholds []Threshold `json:"thresholds,omitempty"`
	Exemplars  []Dot       `json:"exemplars,omitempty"`
	Heat       *Heat       `json:"heat,omitempty"`
	Lanes      []Lane      `json:"lanes,omitempty"`

	// Of single values.
	Stats      []Stat `json:"stats,omitempty"`
	ColorMode  string `json:"colorMode,omitempty"`
	Horizontal bool   `json:"horizontal,omitempty"`

	Table   *Table            `json:"table,omitempty"`
	Records []logstore.Record `json:"records,omitempty"`
	Alerts  []Alert           `json:"alerts,omitempty"`
}

// Line is a series of a chart.
type Line struct {
	Name   string   `json:"name"`
	Color  string   `json:"color,omitempty"` // empty is the next one of the palette
	Style  string   `json:"style"`           // line, bars or points
	Dash   string   `json:"dash,omitempty"`
	Width  float64  `json:"width"`
	Fill   float64  `json:"fill"`
	Stairs bool     `json:"stairs,omitempty"`
	Dots   bool     `json:"dots,omitempty"`
	Span   int64    `json:"span,omitempty"` // the longest break that it spans
	Axis   int      `json:"axis"`
	Hidden bool     `json:"hidden,omitempty"` // from the legend
	Calcs  []Calc   `json:"calcs,omitempty"`
	Values []Number `json:"values"`
}

// Calc is a number that stands beside the name of a series.
type Calc struct {
	Name  string `json:"name"`
	Value Number `json:"value"`
}

// Axis is a vertical axis.
type Axis struct {
	Unit    Unit     `json:"unit"`
	Label   string   `json:"label,omitempty"`
	Min     *float64 `json:"min,omitempty"`
	Max     *float64 `json:"max,omitempty"`
	SoftMin *float64 `json:"softMin,omitempty"`
	SoftMax *float64 `json:"softMax,omitempty"`
	Log     bool     `json:"log,omitempty"`
}

// Threshold is a value from which on a colour holds.
type Threshold struct {
	Value float64 `json:"value"`
	Color string  `json:"color"`
	Line  bool    `json:"line,omitempty"`
	Area  bool    `json:"area,omitempty"`
}

// Dot is an exemplar.
type Dot struct {
	At    int64  `json:"at"`
	Value Number `json:"value"`
	Trace string `json:"trace"`
}

// Heat is a heatmap: for each time, a count for each of the rows, which are between two bounds that follow each other.
type Heat struct {
	Bounds []Number   `json:"bounds"`
	Counts [][]Number `json:"counts"`
}

// Lane is a row of a timeline of states.
type Lane struct {
	Name   string  `json:"name"`
	States []State `json:"states"`
}

// State is one of them.
type State struct {
	From  int64  `json:"from"`
	To    int64  `json:"to"`
	Text  string `json:"text"`
	Color string `json:"color"`
}

// Stat is a single value.
type Stat struct {
	Name  string    `json:"name,omitempty"`
	Value Number    `json:"value"`
	Text  string    `json:"text,omitempty"` // instead of the value
	Color string    `json:"color"`
	Unit  Unit      `json:"unit"`
	Min   float64   `json:"min"`
	Max   float64   `json:"max"`
	Steps []Segment `json:"steps,omitempty"` // of a gauge
	Spark []Number  `json:"spark,omitempty"`
	Href  string    `json:"href,omitempty"`
}

// Segment is a part of a gauge.
type Segment struct {
	From  float64 `json:"from"`
	Color string  `json:"color"`
}

// Alert is one that is pending or fires.
type Alert struct {
	Name     string    `json:"name"`
	Of       string    `json:"of,omitempty"`
	Severity string    `json:"severity,omitempty"`
	State    string    `json:"state"`
	Since    time.Time `json:"since"`
	Summary  string    `json:"summary,omitempty"`
	Runbook  string    `json:"runbook,omitempty"`
	Board    string    `json:"board,omitempty"`
}

// Mark is a time, or a range of it, that is marked in all charts.
type Mark struct {
	From  int64  `json:"from"`
	To    int64  `json:"to"`
	Title string `json:"title"`
	Text  string `json:"text,omitempty"`
	Color string `json:"color"`
}

// Drawer draws. It is safe for concurrent use.
type Drawer struct {
	Prometheus *metrics.Asker
	Logs       logstore.Store // nil if there is none
}

// View is a dashboard as somebody looks at it: at a range of time, with choices.
type View struct {
	drawer *Drawer
	board  *dashboard.Dashboard
	span   dashboard.Span
	chosen map[string][]string // by the variable's name

	mu      sync.Mutex
	choices map[string]*resolved
}

// resolved is a variable with what it can stand for.
type resolved struct {
	once    sync.Once
	options []string
	choice  dashboard.Choice
	err     error
}

// View returns a view of a dashboard. Chosen has values by the names of variables.
func (d *Drawer) View(board *dashboard.Dashboard, span dashboard.Span, chosen map[string][]string) *View {
	return &View{drawer: d, board: board, span: span, chosen: chosen, choices: make(map[string]*resolved)}
}

// Span is the range of time that is looked at.
func (v *View) Span() dashboard.Span { return v.span }

// Control is a variable that the reader of a dashboard sets.
type Control struct {
	Name, Label string
	Multi       bool
	Free        bool // any text
	Options     []Option
	Value       string // of a free one
	Problem     string
}

// Option is a value to choose.
type Option struct {
	Value, Text string
	Chosen      bool
}

// Controls returns the variables that can be set, with their values.
func (v *View) Controls(ctx context.Context) []Control {
	var list []Control
	for _, variable := range v.board.Templating.List {
		if variable.Hide == 2 || variable.Type == "datasource" || variable.Type == "constant" {
			continue
		}
		c := Control{Name: variable.Name, Label: variable.Label, Multi: variable.Multi, Free: variable.Type == "textbox"}
		if c.Label == "" {
			c.Label = c.Name
		}
		found := v.resolve(ctx, variable)
		if found.err != nil {
			c.Problem = found.err.Error()
		}
		if c.Free {
			c.Value = strings.Join(found.choice.Values, "")
			list = append(list, c)
			continue
		}
		chosen := variable.Choose([]string{dashboard.All}, v.chosen[variable.Name]).Values
		all := variable.IncludeAll && slices.Contains(chosen, dashboard.All)
		if variable.IncludeAll {
			c.Options = append(c.Options, Option{dashboard.All, "All", all})
		}
		for _, value := range found.options {
			c.Options = append(c.Options, Option{value, value, !all && slices.Contains(found.choice.Values, value)})
		}
		for _, value := range found.choice.Values {
			if !all && !slices.Contains(found.options, value) { // it was there once
				c.Options = append(c.Options, Option{value, value, true})
			}
		}
		list = append(list, c)
	}
	return list
}

// resolve finds out once what a variable stands for. It waits for those that the variable depends on, so none may
// depend on itself.
func (v *View) resolve(ctx context.Context, variable dashboard.Variable) *resolved {
	v.mu.Lock()
	found := v.choices[variable.Name]
	if found == nil {
		found = new(resolved)
		v.choices[variable.Name] = found
	}
	v.mu.Unlock()
	found.once.Do(func() {
		if v.inCircle(variable.Name) {
			found.err = fmt.Errorf("the variable %s depends on itself, in a circle", variable.Name)
			return
		}
		found.options, found.err = v.options(ctx, variable)
		found.choice = variable.Choose(found.options, v.chosen[variable.Name])
	})
	return found
}

// inCircle tells whether a variable depends on itself, or on one that does.
func (v *View) inCircle(name string) bool {
	needs := make(map[string][]string)
	for _, variable := range v.board.Templating.List {
		// An error is impossible: none is returned.
		_, _ = dashboard.Expand(variable.QueryText(), func(needed, _ string) (string, error) {
			needs[variable.Name] = append(needs[variable.Name], needed)
			return "", nil
		})
	}
	var under []string
	var circular func(name string) bool
	circular = func(name string) bool {
		if slices.Contains(under, name) {
			return true
		}
		under = append(under, name)
		defer func() { under = under[:len(under)-1] }()
		return slices.ContainsFunc(needs[name], circular)
	}
	return circular(name)
}

// options are the values that a variable can have.
func (v *View) options(ctx context.Context, variable dashboard.Variable) ([]string, error) {
	switch variable.Type {
	case "custom", "interval":
		return variable.Listed(), nil
	case "textbox", "constant":
		return []string{variable.QueryText()}, nil
	case "datasource":
		return []string{variable.QueryText()}, nil // there is one of each type
	case "query":
	default:
		return nil, fmt.Errorf("the variable %s is of the type %s, which the desk does not know", variable.Name, variable.Type)
	}
	expr, err := v.expand(ctx, variable.QueryText(), v.span.BuiltIn(dashboard.ScrapeInterval))
	if err != nil {
		return nil, err
	}
	values, err := v.drawer.variableValues(ctx, expr, v.span)
	if err != nil {
		return nil, fmt.Errorf("the values of the variable %s: %w", variable.Name, err)
	}
	if values, err = variable.Filter(values); err != nil {
		return nil, err
	}
	return values[:min(len(values), maxOptions)], nil
}

// variableValues answers the queries of variables.
func (d *Drawer) variableValues(ctx context.Context, expr string, span dashboard.Span) ([]string, error) {
	expr = strings.TrimSpace(expr)
	name, inner, ok := strings.Cut(expr, "(")
	inner = strings.TrimSpace(strings.TrimSuffix(inner, ")"))
	switch {
	case ok && name == "label_values":
		selector, label := "", inner
		if i := strings.LastIndex(inner, ","); i >= 0 {
			selector, label = strings.TrimSpace(inner[:i]), strings.TrimSpace(inner[i+1:])
		}
		return d.Prometheus.Values(ctx, label, selector, span.From, span.To, maxOptions)
	case ok && name == "query_result":
		series, _, err := d.Prometheus.Instant(ctx, inner, span.To, maxOptions)
		var values []string
		for _, s := range series {
			text := labelText(s.Labels)
			if len(s.Points) > 0 {
				text += " " + strconv.FormatFloat(s.Points[0].Value, 'g', -1, 64)
			}
			values = append(values, text)
		}
		return values, err
	}
	return nil, fmt.Errorf("the desk does not know the query %q: label_values and query_result are known", expr)
}

// choice is what a variable stands for. Its values are asked for only if that depends on them.
func (v *View) choice(ctx context.Context, variable dashboard.Variable) (dashboard.Choice, error) {
	choice := variable.Choose(nil, v.chosen[variable.Name])
	if all := choice.Whole != ""; all && variable.AllValue != "" || !all && len(choice.Values) > 0 {
		return choice, nil
	}
	found := v.resolve(ctx, variable)
	return found.choice, found.err
}

// expand fills variables in.
func (v *View) expand(ctx context.Context, text string, builtIn map[string]string) (string, error) {
	expanded, err := dashboard.Expand(text, func(name, format string) (string, error) {
		if value, ok := builtIn[name]; ok {
			return value, nil
		}
		for _, variable := range v.board.Templating.List {
			if variable.Name != name {
				continue
			}
			choice, err := v.choice(ctx, variable)
			if err != nil {
				return "", err
			}
			value, err := choice.Format(format)
			if value == "$__auto_interval_"+name {
				value = builtIn["__interval"]
			}
			return value, err
		}
		return "", fmt.Errorf("there is no variable %s", name)
	})
	if err == nil && len(expanded) > maxExpr {
		return "", fmt.Errorf("with its variables the query has more than %d KiB: choose fewer values", maxExpr>>10)
	}
	return expanded, err
}

// Text fills the variables into a text for people, such as a title. A variable that has no value stays.
func (v *View) Text(ctx context.Context, text string) string {
	if !strings.ContainsAny(text, "$[") {
		return text
	}
	expanded, err := v.expand(ctx, text, v.span.BuiltIn(dashboard.ScrapeInterval))
	if err != nil {
		return text
	}
	return expanded
}

// Marks returns what the annotations of the dashboard mark.
func (v *View) Marks(ctx context.Context) ([]Mark, error) {
	var marks []Mark
	var failed error
	for _, a := range v.board.Annotations.List {
		if !a.Enable || a.Expr == "" {
			continue
		}
		more, err := v.marks(ctx, a)
		failed = errors.Join(failed, err)
		marks = append(marks, more...)
	}
	slices.SortFunc(marks, func(a, b Mark) int { return int(a.From - b.From) })
	return marks[:min(len(marks), maxMarks)], failed
}

func (v *View) marks(ctx context.Context, a dashboard.Annotation) ([]Mark, error) {
	shortest := dashboard.ScrapeInterval
	if a.Step != "" {
		var err error
		if shortest, err = dashboard.ParseStep(a.Step); err != nil {
			return nil, fmt.Errorf("the annotation %s: %w", a.Name, err)
		}
	}
	step := v.span.Step(maxPoints, shortest)
	expr, err := v.expand(ctx, a.Expr, v.span.BuiltIn(step))
	if err != nil {
		return nil, fmt.Errorf("the annotation %s: %w", a.Name, err)
	}
	series, _, err := v.drawer.Prometheus.Range(ctx, expr, v.span.From, v.span.To, step, maxMarks)
	if err != nil {
		return nil, fmt.Errorf("the annotation %s: %w", a.Name, err)
	}
	var marks []Mark
	for _, s := range series {
		mark := Mark{Color: stateColor(a.Color), Title: a.Name, Text: backend.Cut(legend(a.TextFormat, s.Labels), maxName)}
		if a.TitleFormat != "" {
			mark.Title = backend.Cut(legend(a.TitleFormat, s.Labels), maxTitleOfMark)
		}
		for _, p := range s.Points {
			at := p.At
			if a.ValueForTime {
				at = int64(p.Value)
				if at < v.span.From.UnixMilli() || at > v.span.To.UnixMilli() {
					continue
				}
			} else if n := len(marks) - 1; n >= 0 && marks[n].Title == mark.Title && marks[n].Text == mark.Text && at > marks[n].To && at-marks[n].To <= 2*step.Milliseconds() {
				marks[n].To = at
				continue
			}
			if n := len(marks) - 1; n >= 0 && marks[n].From == at && marks[n].Title == mark.Title {
				continue
			}
			mark.From, mark.To = at, at
			if marks = append(marks, mark); len(marks) >= maxMarks {
				return marks, nil
			}
		}
	}
	return marks, nil
}

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

// Empty tells whether nothing is drawn.
func (p Panel) Empty() bool {
	return len(p.Series) == 0 && len(p.Stats) == 0 && len(p.Records) == 0 && len(p.Alerts) == 0 && len(p.Lanes) == 0 &&
		(p.Table == nil || len(p.Table.Rows) == 0) && (p.Heat == nil || len(p.Heat.Bounds) == 0)
}

// Given is where the points of a panel come from instead of its queries: a series for each of them, by the query's
// letter.
type Given map[string][]metrics.Series

// From draws a panel of given points.
func (v *View) From(ctx context.Context, p dashboard.Panel, points int, given Given) Panel {
	d := &draft{view: v, panel: p, given: given}
	return d.draw(ctx, points)
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
