package grafana_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sockscope/sockscope/internal/dashboard"
)

const runbookURL = "https://github.com/sockscope/sockscope/blob/main/docs/runbooks/"

// Grafana itself sets these in queries.
var builtIn = []string{"__rate_interval", "__auto"}

// load reads the dashboard for a log store.
func load(t *testing.T, store string) *dashboard.Dashboard {
	t.Helper()
	board, err := dashboard.Load(filepath.Join(stores[store], "dashboards/websockets.json"))
	if err != nil {
		t.Fatal(err)
	}
	return board
}

// These names are known to people, and to runbooks.
func TestDashboardHasThePanelsThatMatter(t *testing.T) {
	var titles []string
	for _, panel := range load(t, "loki").AllPanels() {
		titles = append(titles, panel.Title)
	}
	for _, want := range []string{"Active Connections", "Connection Rate", "Message Latency", "Error Rate", "Closes by Reason"} {
		if !slices.Contains(titles, want) {
			t.Errorf("no panel %q among %q", want, titles)
		}
	}
}

func TestDashboardIsWellFormed(t *testing.T) {
	board := load(t, "loki")
	if board.Schema < 39 || board.Schema > 42 {
		t.Errorf("schemaVersion is %d: Grafana 12 and 13 load 39 to 42", board.Schema)
	}
	if board.Editable {
		t.Error("the dashboard is editable, but changes to a provisioned one cannot be saved")
	}
	seenID, seenTitle := make(map[int]bool), make(map[string]bool)
	for _, panel := range board.Panels {
		if panel.ID <= 0 || seenID[panel.ID] || seenTitle[panel.Title] {
			t.Errorf("panel %d %q: id or title is missing or used twice", panel.ID, panel.Title)
		}
		seenID[panel.ID], seenTitle[panel.Title] = true, true
		if g := panel.Grid; g.W <= 0 || g.H <= 0 || g.X < 0 || g.Y < 0 || g.X+g.W > 24 {
			t.Errorf("panel %q does not fit: %+v", panel.Title, g)
		}
		for _, other := range board.Panels {
			if panel.ID < other.ID && overlap(panel.Grid, other.Grid) {
				t.Errorf("panels %q and %q overlap", panel.Title, other.Title)
			}
		}
	}
}

func overlap(a, b dashboard.Grid) bool {
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}

func TestPanelsExplainThemselves(t *testing.T) {
	unitless := []string{"logs", "heatmap", "state-timeline"} // heatmaps have the unit on their axis
	linked := regexp.MustCompile(regexp.QuoteMeta(runbookURL) + `(\w+\.md)`)
	for _, panel := range load(t, "loki").AllPanels() {
		if panel.Title == "" || panel.Description == "" {
			t.Errorf("panel %d %q has no title or description", panel.ID, panel.Title)
		}
		if panel.FieldConfig.Defaults.Unit == "" && !slices.Contains(unitless, panel.Type) {
			t.Errorf("panel %q has no unit", panel.Title)
		}
		for _, link := range linked.FindAllStringSubmatch(panel.Description, -1) {
			if _, err := os.Stat(filepath.Join("../../docs/runbooks", link[1])); err != nil {
				t.Errorf("panel %q: %v", panel.Title, err)
			}
		}
	}
}

func TestQueriesCanBeRun(t *testing.T) {
	for store := range stores {
		t.Run(store, func(t *testing.T) { testQueriesCanBeRun(t, store) })
	}
}

func testQueriesCanBeRun(t *testing.T, store string) {
	board := load(t, store)
	values := make(map[string]string)
	for _, name := range builtIn {
		values[name] = "1m"
	}
	for _, variable := range board.Templating.List {
		values[variable.Name] = variable.AllValue
		// Loki refuses a selector that matches a missing label.
		if variable.Type == "query" && variable.AllValue != ".+" {
			t.Errorf("all of %s is %q, want .+", variable.Name, variable.AllValue)
		}
	}
	queries, err := board.Queries(values)
	if err != nil {
		t.Fatal(err)
	}
	if len(queries) == 0 {
		t.Fatal("the dashboard has no queries")
	}
	for _, panel := range board.AllPanels() {
		refs := make(map[string]bool)
		for _, target := range panel.Targets {
			if target.Ref == "" || refs[target.Ref] {
				t.Errorf("panel %q: refId %q is missing or used twice", panel.Title, target.Ref)
			}
			refs[target.Ref] = true
			// A fixed window is too short for a long range, or hides what happens in a short one.
			if strings.Contains(target.Expr, "rate(") && !strings.Contains(target.Expr, "[$__rate_interval]") {
				t.Errorf("panel %q: a rate without $__rate_interval: %s", panel.Title, target.Expr)
			}
		}
	}
}

func TestDataSourcesExist(t *testing.T) {
	for store := range stores {
		t.Run(store, func(t *testing.T) { testDataSourcesExist(t, store) })
	}
}

func testDataSourcesExist(t *testing.T, store string) {
	board := load(t, store)
	provisioned := make(map[string]string) // type by uid
	for _, source := range dataSources(t, store) {
		provisioned[source.UID] = source.Type
	}
	variables := make(map[string]string) // type by reference
	for _, variable := range board.Templating.List {
		if variable.Type != "datasource" {
			continue
		}
		kind := strings.Trim(string(variable.Query), `"`)
		variables["${"+variable.Name+"}"] = kind
		if uid, _ := variable.Current.Value.(string); provisioned[uid] != kind {
			t.Errorf("variable %s stands for %q, which is no provisioned %s", variable.Name, uid, kind)
		}
	}
	check := func(where string, source *dashboard.Datasource) {
		switch {
		case source == nil:
			t.Errorf("%s has no data source", where)
		case source.Type == "grafana": // built in
		case source.Type == "" || variables[source.UID] != source.Type:
			t.Errorf("%s: no variable for the data source %+v", where, *source)
		}
	}
	for _, panel := range board.AllPanels() {
		check("panel "+panel.Title, panel.Datasource)
		for _, target := range panel.Targets {
			check("query "+target.Ref+" of "+panel.Title, target.Datasource)
		}
	}
	for _, annotation := range board.Annotations.List {
		check("annotation "+annotation.Name, annotation.Datasource)
	}
	for _, variable := range board.Templating.List {
		if variable.Type == "query" {
			check("variable "+variable.Name, variable.Datasource)
		}
	}
}
