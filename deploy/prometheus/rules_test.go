package prometheus_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/internal/tool"
	"github.com/sockscope/sockscope/mixin"
)

const (
	runbooks   = "../../docs/runbooks"
	runbookURL = "https://github.com/sockscope/sockscope/blob/main/docs/runbooks/"
	dashboards = "../grafana/dashboards"
)

// The tests of each alert are in the package mixin. These are of all rules together, as they are shipped.
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

func TestFilesAreMadeFromTheMixin(t *testing.T) {
	c := mixin.Default()
	rules, err := mixin.Files(c)
	if err != nil {
		t.Fatal(err)
	}
	tests, err := mixin.Tests(c, "../rules")
	if err != nil {
		t.Fatal(err)
	}
	written := make(map[string]string)
	for _, path := range files(t, runbooks+"/*.md") {
		written[filepath.Base(path)] = read(t, path)
	}
	pages, err := mixin.Runbooks(c, written)
	if err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]map[string]string{"rules": rules, "tests": tests, runbooks: pages} {
		for _, path := range files(t, dir+"/*") {
			text, ok := want[filepath.Base(path)]
			if !ok {
				t.Errorf("nothing makes %s", path)
			} else if read(t, path) != text {
				t.Errorf("%s is not what it is made of: run `make mixin`", path)
			}
			delete(want, filepath.Base(path))
		}
		for name := range want {
			t.Errorf("%s/%s is missing: run `make mixin`", dir, name)
		}
	}
}

func TestAlertsSayWhatToDo(t *testing.T) {
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
			if got, want := alert.Annotations["dashboard_url"], "{{ $externalLabels.grafana_url }}/d/sockscope-"; !strings.HasPrefix(got, want) {
				t.Errorf("dashboard_url is %q, want it to begin with %q", got, want)
			}
		})
	}
}

// TestRunbooksHaveOneForm has people find the same parts in the same order on each page, below the frame.
func TestRunbooksHaveOneForm(t *testing.T) {
	form := regexp.MustCompile(`(?s)\*\*Impact\.\*\* .+\*\*First queries\*\*(.+)\*\*Decision\b.+\*\*Mitigation\.\*\* .+\*\*How (it is drilled|it is tested|we test it)\.\*\* `)
	query := regexp.MustCompile(`(?m)^[1-9]\. `)
	for _, alert := range alerts(t) {
		_, page, _ := strings.Cut(read(t, filepath.Join(runbooks, alert.Alert+".md")), "mixin: end -->")
		parts := form.FindStringSubmatch(page)
		if parts == nil {
			t.Errorf("the runbook of %s has not all parts in their order: %v", alert.Alert, form)
		} else if n := len(query.FindAllString(parts[1], -1)); n < 3 {
			t.Errorf("the runbook of %s has %d queries, want three or more", alert.Alert, n)
		}
		in, ours := strings.Count(page, "\n   {service_name="), strings.Count(page, "\n   {service.name=")
		if in != ours {
			t.Errorf("the runbook of %s has %d queries in LogQL and %d in LogsQL", alert.Alert, in, ours)
		}
	}
}

func TestAlertsNamePanelsThatExist(t *testing.T) {
	var titles []string
	for _, path := range files(t, dashboards+"/*.json") {
		board, err := dashboard.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, panel := range board.AllPanels() {
			titles = append(titles, panel.Title)
		}
	}
	all, err := mixin.Alerts(mixin.Default())
	if err != nil {
		t.Fatal(err)
	}
	for _, alert := range all {
		if alert.Panel != "" && !slices.Contains(titles, alert.Panel) {
			t.Errorf("%s is shown by %q, which is no panel", alert.Name, alert.Panel)
		}
	}
}

func TestRoutesNameAlertsThatExist(t *testing.T) {
	known := []string{"NotifyTest"} // of "sockscope notify-test"
	for _, alert := range alerts(t) {
		known = append(known, alert.Alert)
	}
	named := regexp.MustCompile(`alertname(?:=~|!~|!=|=)"([^"]*)"`)
	for _, path := range files(t, "../alertmanager/*.yml") {
		for _, found := range named.FindAllStringSubmatch(read(t, path), -1) {
			for _, name := range spelledOut(found[1]) {
				if !slices.Contains(known, name) {
					t.Errorf("%s: no rule has the alert %s", path, name)
				}
			}
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
