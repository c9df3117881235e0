package grafana_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var write = flag.Bool("write", false, "write the dashboards for VictoriaLogs anew")

// inPlace has what the dashboard says for Loki, each followed by what it says for
// VictoriaLogs.
var inPlace = []string{
	`"query": "loki",`, `"query": "victoriametrics-logs-datasource",`,
	`"text": "Loki",`, `"text": "VictoriaLogs",`,
	`"value": "loki"`, `"value": "victoria-logs"`,
	`"type": "loki",`, `"type": "victoriametrics-logs-datasource",`,
	`"expr": "sum by (level) (count_over_time({service_name=~\"$job\"}[$__auto]))",`,
	`"expr": "{\"service.name\"=~\"$job\"} | stats by (level) count() records",`,
	`"legendFormat": "{{level}}",` + "\n          " + `"queryType": "range"`,
	`"legendFormat": "{{level}}",` + "\n          " + `"queryType": "statsRange"`,
	`"expr": "{service_name=~\"$job\"}",` + "\n          " + `"queryType": "range",`,
	`"expr": "{\"service.name\"=~\"$job\"}",` + "\n          " + `"queryType": "instant",`,
	`"description": "Records of the service.",`,
	`"description": "Records of the service.` + missing + `",`,
	`"description": "Records of the service, newest first. Open one and follow its trace_id to the trace.",`,
	`"description": "Records of the service, newest first. Open one and follow its trace_id to the trace.` + missing + `",`,
	`"title": "Logs",`, `"title": "Logs (needs the plugin victoriametrics-logs-datasource)",`,
}

// missing is what the panels say to those whose Grafana can't ask VictoriaLogs.
const missing = ` Data source not found? Grafana needs the plugin victoriametrics-logs-datasource: [how to install it](https://github.com/sockscope/sockscope/blob/main/docs/grafana.md#the-plugin-for-victorialogs)`

// TestDashboardsForVictoriaLogs makes sure that the dashboards are the same with
// both log stores but for what the store is asked. Those for Loki are written by
// people.
func TestDashboardsForVictoriaLogs(t *testing.T) {
	files, err := filepath.Glob("dashboards/*.json")
	if err != nil {
		t.Fatal(err)
	}
	var all string
	for _, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.NewReplacer(inPlace...).Replace(string(content))
		if want == string(content) {
			continue // asks no log store
		}
		all += string(content)
		if strings.Contains(strings.ToLower(want), "loki") {
			t.Errorf("%s has more about Loki than is replaced here", path)
		}
		path = filepath.Join(victoriaLogs, path)
		if *write {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("write %s anew by: go test ./deploy/grafana -run VictoriaLogs -write\n(-want +got)\n%s", path, diff)
		}
	}
	for i := 0; i < len(inPlace); i += 2 {
		if !strings.Contains(all, inPlace[i]) {
			t.Errorf("no dashboard for Loki says %s", inPlace[i])
		}
	}
}

// TestVictoriaLogsTakesPlaces has each file in the place of another.
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
