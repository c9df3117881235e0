package prometheus_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/internal/tool"
)

const (
	runbooks      = "../../docs/runbooks"
	runbookURL    = "https://github.com/sockscope/sockscope/blob/main/docs/runbooks/"
	dashboardFile = "../grafana/dashboards/websockets.json"
)

func TestPromtool(t *testing.T) {
	promtool := tool.Path(t, "promtool")
	for _, args := range [][]string{
		{"check", "config", "--lint=all", "--lint-fatal", "prometheus.yml"},
		append([]string{"check", "rules", "--lint=all", "--lint-fatal"}, files(t, "rules/*.yml")...),
		append([]string{"test", "rules"}, files(t, "tests/*.yml")...),
	} {
		t.Run(strings.Join(args[:2], " "), func(t *testing.T) {
			if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestAlertsSayWhatToDo(t *testing.T) {
	board, err := dashboard.Load(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, alert := range alerts(t) {
		t.Run(alert.Alert, func(t *testing.T) {
			if severity := alert.Labels["severity"]; !slices.Contains([]string{"critical", "warning", "info", "none"}, severity) {
				t.Errorf("severity is %q", severity)
			}
			if alert.Annotations["summary"] == "" || alert.Annotations["description"] == "" {
				t.Error("summary or description is missing")
			}
			if strings.Contains(alert.Annotations["summary"], "$value") {
				t.Error("the summary has a value in it: it would be another incident each time")
			}
			if got, want := alert.Annotations["runbook_url"], runbookURL+alert.Alert+".md"; got != want {
				t.Errorf("runbook_url is %q, want %q", got, want)
			}
			if got, want := alert.Annotations["dashboard_url"], "{{ $externalLabels.grafana_url }}/d/"+board.UID; !strings.HasPrefix(got, want) {
				t.Errorf("dashboard_url is %q, want it to begin with %q", got, want)
			}
		})
	}
}

func TestEachAlertHasARunbookAndEachRunbookAnAlert(t *testing.T) {
	index := read(t, filepath.Join(runbooks, "README.md"))
	want := []string{"README"}
	for _, alert := range alerts(t) {
		want = append(want, alert.Alert)
		if !strings.Contains(index, "("+alert.Alert+".md)") {
			t.Errorf("the index of the runbooks does not link %s", alert.Alert)
		}
	}
	var got []string
	for _, path := range files(t, runbooks+"/*") {
		got = append(got, strings.TrimSuffix(filepath.Base(path), ".md"))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("runbooks are %v, want %v", got, want)
	}
}

// The rule tests assert the exact set of alerts that fire, so each of their
// cases shows for all alerts but a few that they stay quiet. What is left to
// check is that each alert is seen to fire, with its texts.
func TestEachAlertIsSeenToFire(t *testing.T) {
	fired := make(map[string]bool)
	for _, path := range files(t, "tests/*.yml") {
		var file struct {
			Tests []struct {
				AlertTests []struct {
					Alert    string `yaml:"alertname"`
					Expected []any  `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		if err := yaml.Unmarshal([]byte(read(t, path)), &file); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, test := range file.Tests {
			for _, alert := range test.AlertTests {
				if len(alert.Expected) > 0 {
					fired[alert.Alert] = true
				}
			}
		}
	}
	for _, alert := range alerts(t) {
		if !fired[alert.Alert] {
			t.Errorf("no test sees %s fire", alert.Alert)
		}
	}
}

type rule struct {
	Record        string
	Alert         string
	Expr          string
	For           string
	KeepFiringFor string `yaml:"keep_firing_for"`
	Labels        map[string]string
	Annotations   map[string]string
}

func rules(t *testing.T) []rule {
	t.Helper()
	var all []rule
	for _, path := range files(t, "rules/*.yml") {
		var file struct {
			Groups []struct {
				Name     string
				Interval string
				Rules    []rule
			}
		}
		decoder := yaml.NewDecoder(bytes.NewReader([]byte(read(t, path))))
		decoder.KnownFields(true)
		if err := decoder.Decode(&file); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, group := range file.Groups {
			all = append(all, group.Rules...)
		}
	}
	return all
}

func alerts(t *testing.T) []rule {
	t.Helper()
	return slices.DeleteFunc(rules(t), func(r rule) bool { return r.Alert == "" })
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files match %s (%v)", pattern, err)
	}
	return paths
}
