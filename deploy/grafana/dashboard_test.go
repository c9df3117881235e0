package grafana_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/mixin"
	"github.com/sockscope/sockscope/mixin/dashboards"
)

// boards are the dashboards that Grafana has with a log store, by the names of their files.
func boards(t *testing.T, store string) map[string]*dashboard.Dashboard {
	t.Helper()
	all := make(map[string]*dashboard.Dashboard)
	for _, folder := range []string{".", stores[store]} { // those of the second take the place of others
		paths, err := filepath.Glob(filepath.Join(folder, "dashboards/*.json"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("there are no dashboards in %s: %v", folder, err)
		}
		for _, path := range paths {
			board, err := dashboard.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.Base(path)] = board
		}
	}
	return all
}

func TestDashboardsAreMadeFromTheMixin(t *testing.T) {
	for folder, of := range map[string]func(mixin.Config) (map[string]string, error){".": dashboards.Files, victoriaLogs: dashboards.VictoriaLogs} {
		want, err := of(mixin.Default())
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]string)
		paths, err := filepath.Glob(filepath.Join(folder, "dashboards/*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got[filepath.Base(path)] = string(text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("run make mixin: %s/dashboards (-want +got)\n%s", folder, diff)
		}
	}
}

func TestDataSourcesOfDashboardsExist(t *testing.T) {
	for store := range stores {
		t.Run(store, func(t *testing.T) {
			all := boards(t, store)
			for _, name := range slices.Sorted(maps.Keys(all)) {
				testDataSourcesExist(t, store, all[name])
			}
		})
	}
}

func testDataSourcesExist(t *testing.T, store string, board *dashboard.Dashboard) {
	t.Helper()
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
			t.Errorf("%s: variable %s stands for %q, which is no provisioned %s", board.Title, variable.Name, uid, kind)
		}
	}
	check := func(where string, source *dashboard.Datasource) {
		switch {
		case source == nil:
			t.Errorf("%s: %s has no data source", board.Title, where)
		case source.Type == "grafana": // built in
		case source.Type == "" || variables[source.UID] != source.Type:
			t.Errorf("%s: no variable for the data source %+v of %s", board.Title, *source, where)
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
