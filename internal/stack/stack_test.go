package stack

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"gopkg.in/yaml.v3"

	"github.com/sockscope/sockscope/deploy"
	"github.com/sockscope/sockscope/internal/component"
	"github.com/sockscope/sockscope/internal/endpoint"
	"github.com/sockscope/sockscope/internal/progress"
	"github.com/sockscope/sockscope/mixin"
)

func TestMain(m *testing.M) {
	if data := os.Getenv(holdVariable); data != "" {
		os.Exit(hold(data))
	}
	goleak.VerifyTestMain(m)
}

func names(list []service) []string {
	var names []string
	for _, s := range list {
		names = append(names, s.name)
	}
	return names
}

func TestServicesAreComplete(t *testing.T) {
	at := endpoint.Local(0)
	for _, loki := range []string{"", "/opt/loki"} {
		t.Run("loki="+loki, func(t *testing.T) { testServicesAreComplete(t, at, loki) })
	}
}

func testServicesAreComplete(t *testing.T, at endpoint.Set, loki string) {
	list := append(services(at, places{settings: "s", data: "x"}, 1, loki), grafana(at, places{}, "/opt/grafana/bin/grafana"))
	known := map[string]bool{self: true, "/opt/grafana/bin/grafana": true, loki: true}
	for _, c := range component.Services() {
		known[c.Name] = true
	}
	bound := make(map[string]string)
	for _, s := range list {
		if !known[s.component] {
			t.Errorf("%s runs %q, which is no component", s.name, s.component)
		}
		if s.title == "" || s.see == "" || s.address == "" || s.ready == "" {
			t.Errorf("%s lacks what a person is told: %+v", s.name, s)
		}
		for _, receiver := range s.sendsTo {
			if !slices.Contains(names(list), receiver) {
				t.Errorf("%s sends to %q, which is no service", s.name, receiver)
			}
		}
		if s.after != "" && !slices.Contains(names(list), s.after) {
			t.Errorf("%s comes after %q, which is no service, and so never", s.name, s.after)
		}
		for _, address := range s.listens {
			if bound[address] != "" {
				t.Errorf("%s and %s both listen on %s", s.name, bound[address], address)
			}
			bound[address] = s.name
		}
	}
}

func TestStopOrder(t *testing.T) {
	list := services(endpoint.Local(0), places{}, 1, "")
	order := names(stopOrder(list))
	if len(order) != len(list) {
		t.Fatalf("%d of %d services are stopped: %v", len(order), len(list), order)
	}
	for _, s := range list {
		for _, receiver := range s.sendsTo {
			if slices.Index(order, s.name) > slices.Index(order, receiver) {
				t.Errorf("%s is stopped after %s, to which it sends: %v", s.name, receiver, order)
			}
		}
	}
}

func TestTakenPortIsNamedWithTheFlag(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = checkPorts([]service{{name: "prometheus", listens: []string{l.Addr().String()}}})
	if err == nil {
		t.Fatal("no error for a port that is taken")
	}
	for _, want := range []string{l.Addr().String(), "prometheus", "--port-offset"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestShortenDurations(t *testing.T) {
	for _, tc := range []struct {
		in     string
		factor int
		want   string
	}{
		{"for: 5m", 20, "for: 15000ms"},
		{"rate(x_total[5m]) offset 1h", 10, "rate(x_total[30000ms]) offset 360000ms"},
		{"interval: 15s", 1, "interval: 15s"},
		{"for: 0s", 20, "for: 0s"},
		{"for: 1ms", 20, "for: 1ms"},
		{`le="0.25" and http_2s_total > 500`, 20, `le="0.25" and http_2s_total > 500`},
		{"99999999999999999999s", 20, "99999999999999999999s"},
	} {
		if got := ShortenDurations(tc.in, tc.factor); got != tc.want {
			t.Errorf("ShortenDurations(%q, %d) = %q, want %q", tc.in, tc.factor, got, tc.want)
		}
	}
	config := "global:\n  scrape_interval: 15s\n  evaluation_interval: 15s\n"
	want := "global:\n  scrape_interval: 15s\n  evaluation_interval: 1500ms\n"
	if got := shortenEvaluation(config, 10); got != want {
		t.Errorf("shortenEvaluation = %q", got)
	}
}

// TestFasterRules has the rules made anew for the speed, and those refused that nobody can make anew.
func TestFasterRules(t *testing.T) {
	in := places{settings: t.TempDir(), data: t.TempDir()}
	options := Options{Deploy: deploy.Files(), At: endpoint.Local(0), AlertSpeed: 10}
	if err := renderSettings(options, in); err != nil {
		t.Fatal(err)
	}
	c := mixin.Default()
	c.Speed = 10
	want, err := mixin.Files(c)
	if err != nil {
		t.Fatal(err)
	}
	for name, rules := range want {
		if got, err := os.ReadFile(filepath.Join(in.settings, "prometheus", "rules", name)); err != nil || string(got) != rules {
			t.Errorf("%s is not as it is made for the speed (%v)", name, err)
		}
	}
	own := t.TempDir()
	if err := os.CopyFS(own, deploy.Files()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(own, "prometheus", "rules", "own.yml"), []byte("groups: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	options.Deploy = os.DirFS(own)
	if err := renderSettings(options, in); err == nil || !strings.Contains(err.Error(), "prometheus/rules/own.yml is not as this program makes it") {
		t.Errorf("rules of the user's are made faster: %v", err)
	}
	options.AlertSpeed = 1
	if err := renderSettings(options, in); err != nil {
		t.Errorf("rules of the user's at true speed: %v", err)
	}
}

func TestDurationsOfFlagsHaveNoFractions(t *testing.T) {
	for _, s := range services(endpoint.Local(0), places{}, 7, "") {
		for _, setting := range append(s.args, s.env...) {
			if fraction.MatchString(setting) {
				t.Errorf("%s gets %s, which Prometheus' parser refuses", s.name, setting)
			}
		}
	}
}

var fraction = regexp.MustCompile(`=[0-9]*\.[0-9]+m?s$`)

// TestRenderedSettings makes sure that no address of the compose file is left in what runs on loopback, but as a
// default of what the environment says.
func TestRenderedSettings(t *testing.T) {
	at := endpoint.Local(20000)
	dir := t.TempDir()
	in := places{settings: filepath.Join(dir, "settings"), data: dir}
	if err := renderSettings(Options{Deploy: deploy.Files(), At: at, Grafana: "/opt/grafana/bin/grafana", AlertSpeed: 1}, in); err != nil {
		t.Fatal(err)
	}
	all := environmentDefault.ReplaceAllString(strings.Join(readAll(t, dir), "\n"), "")
	for _, host := range []string{"demo", "probe", "desk", "prometheus", "alertmanager", "otel-collector", "jaeger", "loki", "victoria-logs"} {
		for _, port := range []string{":8080", ":8091", ":8090", ":9090", ":9093", ":8888", ":8887", ":3100", ":9428"} {
			if strings.Contains(all, "//"+host+port) || strings.Contains(all, `"`+host+port) {
				t.Errorf("%s%s is left in the rendered settings", host, port)
			}
		}
	}
	for _, address := range []string{at.Demo, at.Probe, at.Desk, at.Alertmanager, at.CollectorMetrics, at.Grafana} {
		if !strings.Contains(all, address) {
			t.Errorf("%s is not in the rendered settings", address)
		}
	}
	if strings.Contains(all, "/etc/alertmanager") {
		t.Error("a path of the container is left in the rendered settings")
	}
}

var environmentDefault = regexp.MustCompile(`:-[^}]*`)

// TestArgumentsNameRenderedFiles makes sure that what the services are told to read is there.
func TestArgumentsNameRenderedFiles(t *testing.T) {
	at := endpoint.Local(0)
	dir := t.TempDir()
	in := places{settings: filepath.Join(dir, "settings"), data: dir}
	const loki = "/opt/loki"
	list := append(services(at, in, 1, loki), grafana(at, in, "/opt/grafana/bin/grafana"))
	if err := renderSettings(Options{Deploy: deploy.Files(), At: at, AlertSpeed: 1, Loki: loki}, in); err != nil {
		t.Fatal(err)
	}
	if err := writeComponents(filepath.Join(in.settings, "components.json"), list, nil); err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, s := range list {
		for _, setting := range slices.Concat(s.args, s.env) {
			_, path, _ := strings.Cut(setting, "=")
			if !strings.HasPrefix(path, in.settings) && path != in.targets() {
				continue
			}
			named++
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s is given %s: %v", s.name, setting, err)
			}
		}
	}
	if named < 8 {
		t.Errorf("the services read only %d of the settings", named)
	}
}

func TestTargetsOfTheUserStay(t *testing.T) {
	dir := t.TempDir()
	in := places{settings: filepath.Join(dir, "settings"), data: dir}
	options := Options{Deploy: deploy.Files(), At: endpoint.Local(0), AlertSpeed: 1}
	if err := renderSettings(options, in); err != nil {
		t.Fatal(err)
	}
	own, demo := filepath.Join(in.targets(), "own.yaml"), filepath.Join(in.targets(), "demo.yaml")
	const content = "- targets: [127.0.0.1:9999]\n"
	if err := os.WriteFile(own, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	options.At = endpoint.Local(100)
	if err := renderSettings(options, in); err != nil {
		t.Fatal(err)
	}
	if kept, err := os.ReadFile(own); err != nil || string(kept) != content {
		t.Errorf("the user's targets are %q, %v", kept, err)
	}
	if written, err := os.ReadFile(demo); err != nil || !strings.Contains(string(written), options.At.Demo) {
		t.Errorf("the demo's targets are %q, %v", written, err)
	}
}

// TestLogStoreIsScraped has either store told to Prometheus, and nothing of the other.
func TestLogStoreIsScraped(t *testing.T) {
	at := endpoint.Local(100)
	for loki, want := range map[string]string{"": at.VictoriaLogs, "/opt/loki": at.Loki} {
		in := places{settings: t.TempDir(), data: t.TempDir()}
		if err := renderSettings(Options{Deploy: deploy.Files(), At: at, Loki: loki, AlertSpeed: 1}, in); err != nil {
			t.Fatal(err)
		}
		targets, err := os.ReadFile(filepath.Join(in.settings, "prometheus", "targets", "logs.yml"))
		if err != nil || strings.Count(string(targets), "targets: [") != 1 || !strings.Contains(string(targets), `targets: ["`+want+`"]`) {
			t.Errorf("with Loki at %q, its targets are %s, %v; want %s", loki, targets, err, want)
		}
	}
}

// TestGrafanaAsksTheLogStore has Grafana's settings for either store, and nothing of the other.
func TestGrafanaAsksTheLogStore(t *testing.T) {
	for loki, want := range map[string]struct{ kind, other string }{
		"":          {"victoriametrics-logs-datasource", "loki"},
		"/opt/loki": {"loki", "victoriametrics-logs-datasource"},
	} {
		in := places{settings: t.TempDir(), data: t.TempDir()}
		o := Options{Deploy: deploy.Files(), At: endpoint.Local(0), Grafana: "/opt/grafana/bin/grafana", Loki: loki, AlertSpeed: 1}
		if err := renderSettings(o, in); err != nil {
			t.Fatal(err)
		}
		sources := strings.Join(readAll(t, filepath.Join(in.settings, "grafana", "provisioning", "datasources")), "\n")
		dashboards := strings.Join(readAll(t, filepath.Join(in.settings, "grafana", "dashboards")), "\n")
		if strings.Count(sources, "type: "+want.kind) != 1 || strings.Contains(sources, "type: "+want.other) {
			t.Errorf("with Loki at %q, the data sources are\n%s\nwant one of type %s", loki, sources, want.kind)
		}
		if !strings.Contains(dashboards, `"type": "`+want.kind+`"`) || strings.Contains(dashboards, `"type": "`+want.other+`"`) {
			t.Errorf("with Loki at %q, the dashboards ask another store than %s", loki, want.kind)
		}
		for _, variable := range regexp.MustCompile(`(?m)^ *(?:url|path): \$(\w+)`).FindAllStringSubmatch(sources, -1) {
			if env := grafana(o.At, in, o.Grafana).env; !slices.ContainsFunc(env, func(s string) bool { return strings.HasPrefix(s, variable[1]+"=") }) {
				t.Errorf("Grafana's environment has no %s", variable[1])
			}
		}
	}
}

// TestMissingPlugin has a Grafana that can't ask VictoriaLogs: the user is told how it can.
func TestMissingPlugin(t *testing.T) {
	in := places{data: t.TempDir()}
	o := Options{Grafana: "/opt/grafana/bin/grafana"}
	plugins := filepath.Join(in.data, "grafana", "plugins")
	if !slices.Contains(grafana(endpoint.Local(0), in, o.Grafana).env, "GF_PATHS_PLUGINS="+plugins) {
		t.Errorf("Grafana does not look for plugins in %s", plugins)
	}
	want := "/opt/grafana/bin/grafana cli --homepath=/usr/share/grafana --pluginsDir=" + plugins + " plugins install victoriametrics-logs-datasource"
	if hint := noDashboards(o, in); !strings.Contains(hint, want) {
		t.Errorf("the hint is %q, want %q in it", hint, want)
	}
	withLoki := o
	withLoki.Loki = "/opt/loki"
	if hint := noDashboards(withLoki, in); hint != "" {
		t.Errorf("with Loki the hint is %q", hint)
	}
	if err := os.MkdirAll(filepath.Join(plugins, "victoriametrics-logs-datasource"), 0o700); err != nil {
		t.Fatal(err)
	}
	if hint := noDashboards(o, in); hint != "" {
		t.Errorf("with the plugin the hint is %q", hint)
	}
}

func TestDashboardLinksWithoutGrafana(t *testing.T) {
	at := endpoint.Local(100)
	in := places{settings: t.TempDir(), data: t.TempDir()}
	if err := renderSettings(Options{Deploy: deploy.Files(), At: at, AlertSpeed: 1}, in); err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(in.settings, "prometheus", "prometheus.yml"))
	if err != nil || !strings.Contains(string(config), "grafana_url: http://"+at.Desk+"\n") {
		t.Errorf("links to dashboards don't lead to the desk: %v\n%s", err, config)
	}
}

// TestOwnSecretsPageForReal gives secrets by files, by the environment and wrongly.
func TestOwnSecretsPageForReal(t *testing.T) {
	const key, other = "abcdefghijklmnopqrstuvwxyz012345", "012345abcdefghijklmnopqrstuvwxyz"
	const hook = "https://hooks.slack.com/services/T1/B1/x"
	for name, test := range map[string]struct {
		files, values map[string]string
		want          map[string]string // of the secrets; empty is the desk's
		wrong         string
	}{
		"none":                   {want: map[string]string{"pagerduty_routing_key": "", "slack_api_url": "", "watchdog_url": ""}},
		"a file":                 {files: map[string]string{"pagerduty_routing_key": key + "\n"}, want: map[string]string{"pagerduty_routing_key": key, "slack_api_url": ""}},
		"a variable":             {values: map[string]string{"slack_api_url": hook}, want: map[string]string{"pagerduty_routing_key": "", "slack_api_url": hook}},
		"a variable before":      {files: map[string]string{"pagerduty_routing_key": key}, values: map[string]string{"pagerduty_routing_key": other}, want: map[string]string{"pagerduty_routing_key": other}},
		"an empty variable":      {files: map[string]string{"pagerduty_routing_key": key}, values: map[string]string{"pagerduty_routing_key": ""}, want: map[string]string{"pagerduty_routing_key": key}},
		"a key that is none":     {files: map[string]string{"pagerduty_routing_key": "abc"}, wrong: "32 letters and digits"},
		"an empty file":          {files: map[string]string{"slack_api_url": " \n"}, wrong: "slack_api_url has is not the URL"},
		"a variable that's none": {values: map[string]string{"watchdog_url": "example.com"}, wrong: "SOCKSCOPE_WATCHDOG_URL"},
		"another file":           {files: map[string]string{"pagerduty": key}, wrong: "none of the files pagerduty_routing_key, slack_api_url"},
	} {
		t.Run(name, func(t *testing.T) {
			secrets := ""
			if test.files != nil {
				secrets = t.TempDir()
			}
			for name, content := range test.files {
				if err := os.WriteFile(filepath.Join(secrets, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			dir := t.TempDir()
			at := endpoint.Local(0)
			err := renderSettings(Options{Deploy: deploy.Files(), At: at, Secrets: secrets, SecretValues: test.values, AlertSpeed: 1}, places{settings: dir, data: dir})
			if test.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), test.wrong) {
					t.Errorf("the error is %v, want one with %q", err, test.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range test.want {
				got, err := os.ReadFile(filepath.Join(dir, "alertmanager", "secrets", name))
				if err != nil || want != "" && string(got) != want || want == "" && name != "pagerduty_routing_key" && !strings.Contains(string(got), at.Desk) {
					t.Errorf("%s is %q, %v; want %q", name, got, err, want)
				}
			}
			config, err := os.ReadFile(filepath.Join(dir, "alertmanager", "alertmanager.yml"))
			if err != nil {
				t.Fatal(err)
			}
			if toDesk := strings.Contains(string(config), "  pagerduty_url: http://"+at.Desk); toDesk != (test.want["pagerduty_routing_key"] == "") {
				t.Errorf("events of PagerDuty go to the desk: %v", toDesk)
			}
		})
	}
}

func readAll(t *testing.T, dir string) []string {
	t.Helper()
	var contents []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		contents = append(contents, string(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return contents
}

func TestDisplayPrintsLinesElsewhere(t *testing.T) {
	var out strings.Builder
	d := &Display{w: &out}
	d.begin([]service{{name: "loki", title: "Loki", address: "http://127.0.0.1:3100", see: "logs"}})
	d.building(services(endpoint.Local(0), places{}, 1, ""), component.Services(), "/cache")
	d.set("loki", progress.Building, "compiling, 1 of 900 packages")
	for i := range 100 {
		d.set("loki", progress.Building, "compiling, "+strconv.Itoa(i)+" of 900 packages")
	}
	d.set("loki", progress.Ready, "in 0.5 s")
	d.up([]service{{title: "Loki", address: "http://127.0.0.1:3100", see: "logs"}}, noDashboards(Options{}, places{}))
	d.end()
	got := out.String()
	if lines := strings.Count(got, "compiling"); lines != 1 {
		t.Errorf("%d lines about compiling within a moment:\n%s", lines, got)
	}
	for _, want := range []string{"Loki: compiling, 1 of 900 packages", "Loki: ready in 0.5 s", "http://127.0.0.1:3100", "--grafana", "Building victoria-logs, prometheus", "Desk is there at once: http://127.0.0.1:8090"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "\x1b") {
		t.Errorf("escape codes in what isn't a terminal: %q", got)
	}
}

// TestGarbageIsNoReasonToRefuse has the Collector's runtime collect garbage before memory_limiter counts it.
func TestGarbageIsNoReasonToRefuse(t *testing.T) {
	content, err := fs.ReadFile(deploy.Files(), "otel-collector/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Processors struct {
			Limiter struct {
				Limit int `yaml:"limit_mib"`
				Spike int `yaml:"spike_limit_mib"`
			} `yaml:"memory_limiter"`
		}
	}
	if err := yaml.Unmarshal(content, &config); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("GOMEMLIMIT=%dMiB", config.Processors.Limiter.Limit-config.Processors.Limiter.Spike)
	for _, s := range services(endpoint.Local(0), placesIn(t.TempDir()), 1, "") {
		if s.name == "otel-collector" && !slices.Contains(s.env, want) {
			t.Errorf("the Collector's variables are %q, want %s among them", s.env, want)
		}
	}
}
