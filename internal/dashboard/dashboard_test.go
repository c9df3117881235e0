package dashboard_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/internal/dashboard"
)

func load(t *testing.T, content string) (*dashboard.Dashboard, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dashboard.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return dashboard.Load(path)
}

func TestQueries(t *testing.T) {
	d, err := load(t, `{"uid": "d", "panels": [
		{"type": "stat", "title": "Open", "datasource": {"type": "prometheus", "uid": "p"}, "targets": [
			{"refId": "A", "expr": "sum(open{job=~\"$job\", path=~\"/x$\"})"},
			{"refId": "B", "expr": "rate(x{job=\"${job:regex}\"}[$__rate_interval]) * [[factor]]"}]},
		{"type": "row", "title": "Folded", "panels": [
			{"type": "logs", "title": "Records", "targets": [
				{"refId": "A", "datasource": {"type": "loki", "uid": "l"}, "queryType": "range", "expr": "{service_name=\"${job}\"}"}]}]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Queries(map[string]string{"job": "demo", "factor": "2", "__rate_interval": "30s", "unused": ""})
	if err != nil {
		t.Fatal(err)
	}
	want := []dashboard.Query{
		{Panel: "Open", Ref: "A", Datasource: "prometheus", Expr: `sum(open{job=~"demo", path=~"/x$"})`},
		{Panel: "Open", Ref: "B", Datasource: "prometheus", Expr: `rate(x{job="demo"}[30s]) * 2`},
		{Panel: "Records", Ref: "A", Datasource: "loki", Type: "range", Expr: `{service_name="demo"}`},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("queries (-want +got):\n%s", diff)
	}
	if got, want := want[2].String(), `Records (A): {service_name="demo"}`; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}

func TestVariablesHaveAnInitialValue(t *testing.T) {
	d, err := load(t, `{"uid": "d", "templating": {"list": [
		{"name": "transport", "type": "custom", "current": {"value": "sse"}},
		{"name": "job", "type": "query", "allValue": ".*", "current": {"value": ["$__all"]}},
		{"name": "instance", "type": "query", "current": {"value": ["a", "b"]}}]},
		"panels": [{"title": "P", "datasource": {"type": "prometheus"}, "targets": [
			{"refId": "A", "expr": "${transport}_open{job=~\"$job\", instance=~\"$instance\"}"}]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		values map[string]string
		want   string
	}{
		{nil, `sse_open{job=~".*", instance=~"a|b"}`},
		{map[string]string{"transport": "websocket", "job": "chat"}, `websocket_open{job=~"chat", instance=~"a|b"}`},
	} {
		got, err := d.Queries(test.values)
		if err != nil || len(got) != 1 || got[0].Expr != test.want {
			t.Errorf("with %v: %v, %v, want %s", test.values, got, err, test.want)
		}
	}
}

func TestQueriesThatCannotBeRun(t *testing.T) {
	for _, test := range []struct{ name, panel, want string }{
		{"unknown variable", `{"title": "P", "datasource": {"type": "loki"}, "targets": [{"refId": "A", "expr": "x{a=\"$who\"}"}]}`,
			`query A of panel "P": no value for the variable who`},
		{"no expression", `{"title": "P", "datasource": {"type": "loki"}, "targets": [{"refId": "A"}]}`,
			`query A of panel "P" has no data source or no expression`},
		{"no data source", `{"title": "P", "targets": [{"refId": "A", "expr": "x"}]}`,
			`query A of panel "P" has no data source or no expression`},
		{"no query", `{"title": "P"}`, `panel "P" has no query`},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := load(t, `{"uid": "d", "panels": [`+test.panel+`]}`)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Queries(nil); err == nil || err.Error() != test.want {
				t.Errorf("error is %v, want %s", err, test.want)
			}
		})
	}
}

func TestLoadRefusesWhatIsNoDashboard(t *testing.T) {
	for _, content := range []string{``, `[]`, `{"uid": "d"}`, `{"apiVersion": "dashboard.grafana.app/v2", "spec": {}}`} {
		if _, err := load(t, content); err == nil || !strings.Contains(err.Error(), "dashboard.json") {
			t.Errorf("error for %q is %v, want one that names the file", content, err)
		}
	}
	if _, err := dashboard.Load(filepath.Join(t.TempDir(), "none.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v, want that the file does not exist", err)
	}
}
