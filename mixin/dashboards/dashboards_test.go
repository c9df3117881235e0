package dashboards_test

import (
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	sdk "github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/mixin"
	"github.com/sockscope/sockscope/mixin/dashboards"
)

// boards returns the dashboards as the desk reads them.
func boards(t *testing.T, c mixin.Config) []*dashboard.Dashboard {
	t.Helper()
	files, err := dashboards.Files(c)
	if err != nil {
		t.Fatal(err)
	}
	var all []*dashboard.Dashboard
	for _, name := range slices.Sorted(maps.Keys(files)) {
		board, err := dashboard.Parse(name, []byte(files[name]))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, board)
	}
	return all
}

// Grafana ignores fields that it does not know, so it would hide a mistake in a name.
func TestDashboardsAreGrafanas(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	for name, of := range map[string]func(mixin.Config) (map[string]string, error){"loki": dashboards.Files, "victoria-logs": dashboards.VictoriaLogs} {
		t.Run(name, func(t *testing.T) {
			files, err := of(mixin.Default())
			if err != nil {
				t.Fatal(err)
			}
			for name, text := range files {
				var board sdk.Dashboard //nolint:staticcheck // dashboardv2 needs Grafana 12
				// Without a mistake it returns an error that is empty, not nil.
				if err := board.UnmarshalJSONStrict([]byte(text)); err != nil && err.Error() != "" {
					t.Errorf("%s: %v", name, err)
				}
				if err := board.Validate(); err != nil && err.Error() != "" {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// The same in Grafana and at the desk, which draws these types and knows no transformations.
func TestPanelsAreOfFewTypes(t *testing.T) {
	known := []string{"timeseries", "stat", "bargauge", "heatmap", "table", "logs"}
	for _, board := range boards(t, mixin.Default()) {
		for _, panel := range board.AllPanels() {
			if !slices.Contains(known, panel.Type) {
				t.Errorf("%s: %s is a %s", board.Title, panel.Title, panel.Type)
			}
		}
	}
	files, err := dashboards.Files(mixin.Default())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if strings.Contains(text, `"transformations"`) {
			t.Errorf("%s has transformations", name)
		}
	}
}

func TestDashboardsAreWellFormed(t *testing.T) {
	uids, titles := make(map[string]bool), make(map[string]string)
	for _, board := range boards(t, mixin.Default()) {
		if uids[board.UID] {
			t.Errorf("uid %s is used twice", board.UID)
		}
		uids[board.UID] = true
		if board.Editable {
			t.Errorf("%s is editable, but changes to a provisioned dashboard can't be saved", board.Title)
		}
		ids := make(map[int]bool)
		for i, panel := range board.Panels {
			if panel.ID <= 0 || ids[panel.ID] {
				t.Errorf("%s: the id %d of %q is missing or used twice", board.Title, panel.ID, panel.Title)
			}
			ids[panel.ID] = true
			// Alerts, drills and runbooks name panels by their titles.
			if other, ok := titles[panel.Title]; ok && panel.Type != "row" {
				t.Errorf("%q is a panel of %s and of %s", panel.Title, other, board.Title)
			}
			titles[panel.Title] = board.Title
			if g := panel.Grid; g.W <= 0 || g.H <= 0 || g.X < 0 || g.Y < 0 || g.X+g.W > 24 {
				t.Errorf("%s: %q does not fit: %+v", board.Title, panel.Title, g)
			}
			for _, other := range board.Panels[i+1:] {
				if overlap(panel.Grid, other.Grid) {
					t.Errorf("%s: %q and %q overlap", board.Title, panel.Title, other.Title)
				}
			}
		}
	}
}

func overlap(a, b dashboard.Grid) bool {
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}

// These are the rules of Grafana's dashboard-linter, which can't be required as a module.
func TestDashboardsAreLinted(t *testing.T) {
	anyRange := regexp.MustCompile(`(rate|increase)\([^()]*\[([^\]]+)\]`)
	counter := regexp.MustCompile(`_total\b`)
	counted := regexp.MustCompile(`(rate|increase|grown)\(`)
	for _, board := range boards(t, mixin.Default()) {
		variables := make(map[string]dashboard.Variable)
		for _, v := range board.Templating.List {
			variables[v.Name] = v
			if v.Type == "query" && v.AllValue != ".*" {
				t.Errorf("%s: all of %s is %q, which leaves out series without the label", board.Title, v.Name, v.AllValue)
			}
		}
		if variables["datasource"].Type != "datasource" {
			t.Errorf("%s: no variable chooses the data source", board.Title)
		}
		for _, panel := range board.AllPanels() {
			if panel.Title == "" || panel.Description == "" || len(panel.Targets) == 0 {
				t.Errorf("%s: panel %d %q has no title, no description or no query", board.Title, panel.ID, panel.Title)
			}
			if panel.FieldConfig.Defaults.Unit == "" && panel.Type != "logs" && panel.Type != "heatmap" { // heatmaps have it on their axis
				t.Errorf("%s: %s has no unit", board.Title, panel.Title)
			}
			if panel.Type != "logs" && panel.Type != "heatmap" && !strings.Contains(panel.Description, "Normal: ") {
				t.Errorf("%s: %s does not say what is normal", board.Title, panel.Title)
			}
			refs := make(map[string]bool)
			for _, target := range panel.Targets {
				if target.Ref == "" || refs[target.Ref] || target.Datasource == nil || !strings.HasPrefix(target.Datasource.UID, "${") {
					t.Errorf("%s: query %q of %s has no name, the name of another, or no data source of a variable", board.Title, target.Ref, panel.Title)
				}
				refs[target.Ref] = true
				if target.Datasource.Type != "prometheus" {
					continue
				}
				for _, found := range anyRange.FindAllStringSubmatch(target.Expr, -1) {
					if found[1] == "rate" && found[2] != "$__rate_interval" && !strings.Contains(target.Expr, "offset 1h") {
						t.Errorf("%s: a rate of %s is over %s, not $__rate_interval", board.Title, panel.Title, found[2])
					}
				}
				if counter.MatchString(target.Expr) && !counted.MatchString(target.Expr) {
					t.Errorf("%s: %s draws a counter as it is: %s", board.Title, panel.Title, target.Expr)
				}
			}
		}
	}
}

// Every link leads to a page of this repository or to one of these dashboards.
func TestLinksLeadSomewhere(t *testing.T) {
	config := mixin.Default()
	files, err := dashboards.Files(config)
	if err != nil {
		t.Fatal(err)
	}
	linked := regexp.MustCompile(regexp.QuoteMeta(strings.TrimSuffix(config.RunbookURL, "runbooks/")) + `([^"\\)#]+)`)
	found := 0
	for name, text := range files {
		for _, link := range linked.FindAllStringSubmatch(text, -1) {
			found++
			if strings.Contains(link[1], "${__value.text}") {
				link[1] = strings.ReplaceAll(link[1], "${__value.text}", "Watchdog")
			}
			path, err := url.PathUnescape(link[1])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join("../../docs", path)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, link := range regexp.MustCompile(`"url": "([^"]*)"`).FindAllStringSubmatch(text, -1) {
			if !strings.HasPrefix(link[1], config.RunbookURL) {
				t.Errorf("%s links to %s, which is no runbook", name, link[1])
			}
		}
	}
	if found < 100 {
		t.Errorf("%d links are too few", found)
	}
}

// Thresholds and objectives are those of the alerts, for whatever configuration.
func TestConfigChangesPanels(t *testing.T) {
	c, err := mixin.ParseConfig([]byte(`{transports: [sse], namespace_label: exported_namespace, selector: 'cluster="eu"',
		thresholds: {latency_seconds: 0.4321}, objectives: {handling_latency: 0.98765}, runbook_url: 'https://r.example.org/'}`))
	if err != nil {
		t.Fatal(err)
	}
	files, err := dashboards.Files(c)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"overview.json": {`"value": 0.4321`, `https://r.example.org/WebSocketLatencyHigh.md`, `exported_namespace=~\"$namespace\"`, `"query": "sse"`,
			`label_values(${transport}_active_connections{job=~\"$job\", cluster=\"eu\"}, exported_namespace)`},
		"messages.json": {`"value": 0.98765`},
	} {
		for _, text := range want {
			if !strings.Contains(files[name], text) {
				t.Errorf("%s has no %s", name, text)
			}
		}
	}
	recorded := regexp.MustCompile(`^(job|instance|slo)[a-z_]*:`)
	for _, board := range boards(t, c) {
		for _, q := range queries(t, board, "sse") {
			for _, s := range mixin.Selectors(q.Expr) {
				if q.Datasource == "prometheus" && !recorded.MatchString(s.Metric) && !strings.HasPrefix(s.Metric, "ALERTS") && !strings.Contains(s.Matchers, `cluster="eu"`) {
					t.Errorf("%s: %s asks for %s{%s} of all clusters", board.Title, q.Panel, s.Metric, s.Matchers)
				}
			}
		}
	}
}

// Alerts, drills and people know these names.
func TestOverviewHasThePanelsOfTheMission(t *testing.T) {
	for _, board := range boards(t, mixin.Default()) {
		if board.Title != "Realtime overview" {
			continue
		}
		ids := make(map[string]int)
		for _, panel := range board.AllPanels() {
			ids[panel.Title] = panel.ID
		}
		want := map[string]int{"Active Connections": 10, "Connection Rate": 11, "Message Latency (p50/p95/p99)": 15, "Error Rate": 18}
		for title, id := range want {
			if ids[title] != id {
				t.Errorf("%s has the id %d, want %d", title, ids[title], id)
			}
		}
		return
	}
	t.Error("there is no overview")
}

// What happened is marked in the panels of every dashboard: what you see may come of it.
func TestWhatHappenedIsMarked(t *testing.T) {
	c := mixin.Default()
	c.Selector = `cluster="eu"`
	for _, board := range boards(t, c) {
		marked := make(map[string]dashboard.Annotation)
		for _, a := range board.Annotations.List {
			if a.Enable {
				marked[a.Name] = a
			}
		}
		for _, name := range []string{"Alerts", "Starts", "Drills"} {
			if a := marked[name]; a.Expr == "" || a.Step == "" || a.TitleFormat == "" || a.Datasource == nil || a.Datasource.UID != "${datasource}" {
				t.Errorf("%s: %s are not marked: %+v", board.Title, name, a)
			}
		}
		if got, want := marked["Drills"].Expr, `max by (drill) (sockscope_drill_active{cluster="eu"}) == 1`; got != want {
			t.Errorf("%s: drills are marked by %s, want %s", board.Title, got, want)
		}
	}
}

// With VictoriaLogs all is the same but for what asks for log records.
func TestStoresDifferByLogRecordsOnly(t *testing.T) {
	withLoki, err := dashboards.Files(mixin.Default())
	if err != nil {
		t.Fatal(err)
	}
	withVictoriaLogs, err := dashboards.VictoriaLogs(mixin.Default())
	if err != nil {
		t.Fatal(err)
	}
	if len(withVictoriaLogs) == 0 {
		t.Error("no dashboard asks for log records")
	}
	for name, text := range withVictoriaLogs {
		if strings.Contains(strings.ToLower(text), "loki") {
			t.Errorf("%s asks for Loki", name)
		}
		if diff := cmp.Diff(withoutLogs(t, withLoki[name]), withoutLogs(t, text)); diff != "" {
			t.Errorf("%s (-Loki +VictoriaLogs)\n%s", name, diff)
		}
	}
}

// withoutLogs returns a dashboard without the panels and the variable for log records.
func withoutLogs(t *testing.T, text string) map[string]any {
	t.Helper()
	var board map[string]any
	if err := json.Unmarshal([]byte(text), &board); err != nil {
		t.Fatal(err)
	}
	about := func(one any) bool {
		of := one.(map[string]any)
		source, _ := of["datasource"].(map[string]any)
		return of["name"] == "logs" || source["uid"] == "${logs}"
	}
	board["panels"] = slices.DeleteFunc(board["panels"].([]any), about)
	templating := board["templating"].(map[string]any)
	templating["list"] = slices.DeleteFunc(templating["list"].([]any), about)
	return board
}
