package grafana_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

type dataSource struct {
	Name      string
	UID       string `yaml:"uid"`
	Type      string
	Access    string
	URL       string `yaml:"url"`
	IsDefault bool   `yaml:"isDefault"`
	Editable  *bool
	JSONData  yaml.Node `yaml:"jsonData"`
}

// stores are the folders of what differs between the log stores: the data sources that depend on them, and the
// dashboards.
var stores = map[string]string{"loki": ".", "victoria-logs": victoriaLogs}

// victoriaLogs has the files that take the place of those of the same name here where the log store is VictoriaLogs.
const victoriaLogs = "../victorialogs/grafana"

// dataSources are those that Grafana has with a log store.
func dataSources(t *testing.T, store string) []dataSource {
	t.Helper()
	var all []dataSource
	for _, path := range []string{"provisioning/datasources/sockscope.yaml", filepath.Join(stores[store], "provisioning/datasources/logs.yaml")} {
		var file struct {
			APIVersion  int `yaml:"apiVersion"`
			Prune       bool
			Datasources []dataSource
		}
		decode(t, path, &file)
		if !file.Prune {
			t.Errorf("%s: the data sources of the other log store would stay", path)
		}
		all = append(all, file.Datasources...)
	}
	return all
}

func TestDataSources(t *testing.T) {
	for store := range stores {
		t.Run(store, func(t *testing.T) { testDataSources(t, store) })
	}
}

func testDataSources(t *testing.T, store string) {
	var uids []string
	for _, source := range dataSources(t, store) {
		if slices.Contains(uids, source.UID) {
			t.Errorf("uid %s is used twice", source.UID)
		}
		uids = append(uids, source.UID)
		if source.Editable == nil || *source.Editable {
			t.Errorf("%s is editable, but changes would be lost at the next start", source.Name)
		}
		if !regexp.MustCompile(`^\$(PROMETHEUS|JAEGER|LOKI|VICTORIALOGS)_URL$`).MatchString(source.URL) {
			t.Errorf("url of %s is %q, not from the environment", source.Name, source.URL)
		}
	}
	if want := []string{"prometheus", "jaeger", store}; !slices.Equal(uids, want) {
		t.Errorf("uids are %v, want %v", uids, want)
	}
	for _, source := range dataSources(t, store) {
		for _, target := range links(&source.JSONData) {
			if !slices.Contains(uids, target) {
				t.Errorf("%s links to a data source %q, which does not exist", source.Name, target)
			}
		}
	}
}

// Each of the ways that an operator goes between the signals is there, and written so that Grafana's own expansion of $
// leaves its variables alone.
func TestDataSourcesLinkTheSignals(t *testing.T) {
	variable := regexp.MustCompile(`(^|[^$])\$\{?__`)
	for store := range stores {
		ways := map[string]string{"prometheus": "jaeger", store: "jaeger", "jaeger": store}
		for _, source := range dataSources(t, store) {
			if want := ways[source.UID]; !slices.Contains(links(&source.JSONData), want) {
				t.Errorf("%s does not link to %s", source.Name, want)
			}
			text, err := yaml.Marshal(&source.JSONData)
			if err != nil {
				t.Fatal(err)
			}
			if found := variable.FindString(string(text)); found != "" {
				t.Errorf("%s: %q would be expanded when Grafana starts, write $$", source.Name, found)
			}
		}
	}
}

// TestTracesDifferByTheLogStoreOnly makes sure that Jaeger has the same settings with either log store, but for the way
// there.
func TestTracesDifferByTheLogStoreOnly(t *testing.T) {
	settings := make(map[string]any)
	for store := range stores {
		for _, source := range dataSources(t, store) {
			if source.UID != "jaeger" {
				continue
			}
			var data map[string]any
			if err := source.JSONData.Decode(&data); err != nil {
				t.Fatal(err)
			}
			way, _ := data["tracesToLogsV2"].(map[string]any)
			query, _ := way["query"].(string)
			if way["datasourceUid"] != store || !strings.Contains(query, `"$${__trace.traceId}"`) {
				t.Errorf("the way from a trace to its log records in %s is %v", store, way)
			}
			delete(way, "datasourceUid")
			delete(way, "query")
			source.JSONData = yaml.Node{}
			settings[store] = []any{source, data}
		}
	}
	if diff := cmp.Diff(settings["loki"], settings["victoria-logs"]); diff != "" {
		t.Errorf("Jaeger with Loki and with VictoriaLogs differs (-Loki +VictoriaLogs)\n%s", diff)
	}
}

// links returns the uids that settings of a data source refer to.
func links(node *yaml.Node) []string {
	var found []string
	for i, child := range node.Content {
		if node.Kind == yaml.MappingNode && child.Value == "datasourceUid" && i%2 == 0 {
			found = append(found, node.Content[i+1].Value)
		}
		found = append(found, links(child)...)
	}
	return found
}

// What a field of a log record leads to: its trace, in Grafana and at the desk, and the story of its connection.
func TestLogRecordsLeadOn(t *testing.T) {
	want := []derivedField{
		{Name: "Trace", MatcherType: "label", MatcherRegex: "trace_id", DatasourceUID: "jaeger", URL: "$${__value.raw}", Label: "Open the trace"},
		{Name: "Trace at the desk", MatcherType: "label", MatcherRegex: "trace_id", URL: "$DESK_URL/trace/$${__value.raw}", Label: "Open the trace at the desk"},
		{Name: "Connection", MatcherType: "label", MatcherRegex: "connection_id", URL: "$DESK_URL/connection/$${__value.raw}", Label: "Open the story of the connection"},
	}
	for store := range stores {
		for _, source := range dataSources(t, store) {
			if source.UID != store {
				continue
			}
			var data struct {
				DerivedFields []derivedField `yaml:"derivedFields"`
			}
			if err := source.JSONData.Decode(&data); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, data.DerivedFields); diff != "" {
				t.Errorf("%s (-want +got)\n%s", source.Name, diff)
			}
		}
	}
}

type derivedField struct {
	Name          string
	MatcherType   string `yaml:"matcherType"`
	MatcherRegex  string `yaml:"matcherRegex"`
	DatasourceUID string `yaml:"datasourceUid"`
	URL           string `yaml:"url"`
	Label         string `yaml:"urlDisplayLabel"`
}

// VictoriaLogs' files take the place of others, and only of such.
func TestVictoriaLogsTakesPlaces(t *testing.T) {
	err := filepath.WalkDir(victoriaLogs, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(victoriaLogs, path)
		if err != nil {
			return err
		}
		_, err = os.Stat(rel)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestDashboardsAreProvisioned(t *testing.T) {
	var file struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name, Type, Folder string
			AllowUIUpdates     bool `yaml:"allowUiUpdates"`
			DisableDeletion    bool `yaml:"disableDeletion"`
			Options            map[string]string
		}
	}
	decode(t, "provisioning/dashboards/sockscope.yaml", &file)
	if len(file.Providers) != 1 || file.Providers[0].Type != "file" || file.Providers[0].Options["path"] != "$DASHBOARDS_DIR" {
		t.Errorf("providers are %+v, want one that reads $DASHBOARDS_DIR", file.Providers)
	}
}

func decode(t *testing.T, path string, into any) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
