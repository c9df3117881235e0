package grafana_test

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"testing"

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

func dataSources(t *testing.T) []dataSource {
	t.Helper()
	var file struct {
		APIVersion  int `yaml:"apiVersion"`
		Prune       bool
		Datasources []dataSource
	}
	decode(t, "provisioning/datasources/sockscope.yaml", &file)
	return file.Datasources
}

func TestDataSources(t *testing.T) {
	var uids []string
	for _, source := range dataSources(t) {
		if slices.Contains(uids, source.UID) {
			t.Errorf("uid %s is used twice", source.UID)
		}
		uids = append(uids, source.UID)
		if source.Editable == nil || *source.Editable {
			t.Errorf("%s is editable, but changes would be lost at the next start", source.Name)
		}
		if !regexp.MustCompile(`^\$(PROMETHEUS|JAEGER|LOKI)_URL$`).MatchString(source.URL) {
			t.Errorf("url of %s is %q, not from the environment", source.Name, source.URL)
		}
	}
	slices.Sort(uids)
	if want := []string{"jaeger", "loki", "prometheus"}; !slices.Equal(uids, want) {
		t.Errorf("uids are %v, want %v", uids, want)
	}
	for _, source := range dataSources(t) {
		for _, target := range links(&source.JSONData) {
			if !slices.Contains(uids, target) {
				t.Errorf("%s links to a data source %q, which does not exist", source.Name, target)
			}
		}
	}
}

// Each of the ways that an operator goes between the signals is there, and
// written so that Grafana's own expansion of $ leaves its variables alone.
func TestDataSourcesLinkTheSignals(t *testing.T) {
	ways := map[string]string{"prometheus": "jaeger", "loki": "jaeger", "jaeger": "loki"}
	variable := regexp.MustCompile(`(^|[^$])\$\{?__`)
	for _, source := range dataSources(t) {
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
