package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/sockscope/sockscope/internal/desk/status"
	"github.com/sockscope/sockscope/internal/endpoint"
	"github.com/sockscope/sockscope/mixin"
)

// The files in deploy have the addresses of the compose file. Where a component can't take them from the environment,
// exactly these are replaced.
//
// Without a Grafana the links to its dashboards lead to the desk, which draws them.
func addressReplacer(at endpoint.Set, alertmanagerDir string, hasGrafana bool) *strings.Replacer {
	dashboards := at.Desk
	if hasGrafana {
		dashboards = at.Grafana
	}
	return strings.NewReplacer(
		"demo:8080", at.Demo,
		"probe:8091", at.Probe,
		"desk:8090", at.Desk,
		"prometheus:9090", at.Prometheus,
		"alertmanager:9093", at.Alertmanager,
		"otel-collector:8888", at.CollectorMetrics,
		"jaeger:8887", at.JaegerMetrics,
		"victoria-logs:9428", at.VictoriaLogs,
		"loki:3100", at.Loki,
		"127.0.0.1:3000", dashboards,
		"/etc/alertmanager", alertmanagerDir,
	)
}

// renderSettings writes the settings into in.settings, which it empties first, and the targets beside those that the
// user has put there.
func renderSettings(o Options, in places) error {
	if err := os.RemoveAll(in.settings); err != nil {
		return fmt.Errorf("remove the settings of the last start: %w", err)
	}
	to := func(elem ...string) string { return filepath.Join(append([]string{in.settings}, elem...)...) }
	addresses := addressReplacer(o.At, to("alertmanager"), o.Grafana != "").Replace
	faster := func(content string) string { return ShortenDurations(addresses(content), o.AlertSpeed) }
	unchanged := func(content string) string { return content }
	own, err := ownSecrets(o)
	if err != nil {
		return fmt.Errorf("take the secrets: %w", err)
	}
	routing := faster
	if own["pagerduty_routing_key"] != "" {
		// With a key of one's own, PagerDuty is meant, not the desk.
		routing = func(content string) string { return deskForPagerDuty.ReplaceAllString(faster(content), "") }
	}
	logTargets := "victorialogs/targets.yml"
	if o.Loki != "" {
		logTargets = "prometheus/targets/logs.yml"
	}
	for _, file := range []struct {
		from, to string
		change   func(string) string
	}{
		{"prometheus/prometheus.yml", to("prometheus", "prometheus.yml"), func(content string) string {
			return shortenEvaluation(addresses(content), o.AlertSpeed)
		}},
		{"prometheus/rules", to("prometheus", "rules"), addresses},
		{"prometheus/targets", to("prometheus", "targets"), addresses},
		{logTargets, to("prometheus", "targets", "logs.yml"), addresses},
		{"alertmanager/alertmanager.yml", to("alertmanager", "alertmanager.yml"), routing},
		{"alertmanager/templates", to("alertmanager", "templates"), addresses},
		{"alertmanager/secrets/desk", to("alertmanager", "secrets"), addresses},
		{"otel-collector/targets", in.targets(), addresses},
		// These take from the environment what differs.
		{"otel-collector/config.yaml", to("otel-collector", "config.yaml"), unchanged},
		{"otel-collector/cardinality.yaml", to("otel-collector", "cardinality.yaml"), unchanged},
		{"jaeger", to("jaeger"), unchanged},
		{"loki/config.yaml", to("loki", "config.yaml"), unchanged},
		{"grafana", to("grafana"), unchanged},
	} {
		if err := render(o.Deploy, file.from, file.to, file.change); err != nil {
			return fmt.Errorf("render the settings: %w", err)
		}
	}
	if o.AlertSpeed > 1 {
		if err := renderFasterRules(o, to("prometheus", "rules"), addresses); err != nil {
			return fmt.Errorf("render the settings: %w", err)
		}
	}
	if o.Loki == "" {
		// These take the place of files for Loki.
		if err := render(o.Deploy, "victorialogs/grafana", to("grafana"), unchanged); err != nil {
			return fmt.Errorf("render the settings: %w", err)
		}
	}
	for name, secret := range own {
		if err := os.WriteFile(to("alertmanager", "secrets", name), []byte(secret), 0o600); err != nil {
			return fmt.Errorf("take the secrets: %w", err)
		}
	}
	return nil
}

// renderFasterRules writes the shipped rules as the mixin makes them for that speed. Only it knows which of the text
// are durations, and which is for people.
func renderFasterRules(o Options, to string, addresses func(string) string) error {
	c := mixin.Default()
	shipped, err := mixin.Files(c)
	if err != nil {
		return err
	}
	c.Speed = o.AlertSpeed
	faster, err := mixin.Files(c)
	if err != nil {
		return err
	}
	entries, err := fs.ReadDir(o.Deploy, "prometheus/rules")
	if err != nil {
		return err
	}
	for _, e := range entries {
		content, err := fs.ReadFile(o.Deploy, "prometheus/rules/"+e.Name())
		if err != nil {
			return err
		}
		if string(content) != shipped[e.Name()] {
			return fmt.Errorf("prometheus/rules/%s is not as this program makes it, so that it can't make it faster: "+
				"take the shipped rules, or leave out --alert-speed", e.Name())
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), []byte(addresses(faster[e.Name()])), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// deskForPagerDuty is the one line of alertmanager.yml that must not be there for events to go to PagerDuty itself.
var deskForPagerDuty = regexp.MustCompile(`(?m)^  pagerduty_url: .*\n`)

// ownSecrets returns the secrets of the user's that take the place of the desk's, by the names of their files. The
// environment comes before the folder.
func ownSecrets(o Options) (map[string]string, error) {
	own := make(map[string]string)
	for _, secret := range Secrets() {
		value := o.SecretValues[secret.Name]
		from := secret.Variable
		if value == "" && o.Secrets != "" {
			from = filepath.Join(o.Secrets, secret.Name)
			content, err := os.ReadFile(from)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			value = string(content)
		} else if value == "" {
			continue
		}
		value = strings.TrimSpace(value)
		if !secret.form.MatchString(value) {
			return nil, fmt.Errorf("what %s has is not %s", from, secret.Form)
		}
		own[secret.Name] = value
	}
	if o.Secrets != "" && len(own) == 0 {
		return nil, fmt.Errorf("%s has none of the files %s", o.Secrets, secretNames())
	}
	return own, nil
}

// Secret is what Alertmanager needs to reach somebody.
type Secret struct {
	Name     string // of its file
	Variable string // of the environment, instead of the file
	Form     string // what it has to be, for people

	form *regexp.Regexp
}

// Secrets lists what can be given to reach real people.
func Secrets() []Secret {
	address := regexp.MustCompile(`^https?://[^\s/]+\S*$`)
	return []Secret{
		{"pagerduty_routing_key", "SOCKSCOPE_PAGERDUTY_ROUTING_KEY", "a routing key of PagerDuty's Events API v2: 32 letters and digits", regexp.MustCompile(`^[A-Za-z0-9]{32}$`)},
		{"slack_api_url", "SOCKSCOPE_SLACK_API_URL", "the URL of an incoming webhook of Slack", address},
		{"watchdog_url", "SOCKSCOPE_WATCHDOG_URL", "the URL of a dead man's switch", address},
	}
}

func secretNames() string {
	var names []string
	for _, secret := range Secrets() {
		names = append(names, secret.Name)
	}
	return strings.Join(names, ", ")
}

// render copies a file, or the files of a folder, changing their content. Only the user can read the copies: there are
// secrets among them.
func render(files fs.FS, from, to string, change func(string) string) error {
	return fs.WalkDir(files, from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(filepath.FromSlash(from), filepath.FromSlash(path))
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		content, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		return os.WriteFile(target, []byte(change(string(content))), 0o600)
	})
}

var (
	duration   = regexp.MustCompile(`\b[0-9]+(ms|s|m|h|d|w)\b`)
	evaluation = regexp.MustCompile(`(?m)^\s*evaluation_interval:.*$`)
)

// ShortenDurations divides every duration in the text, such as the routes, by the factor. Comments and annotations are
// for people and may say something else afterwards.
func ShortenDurations(text string, factor int) string {
	if factor <= 1 {
		return text
	}
	units := map[string]int{"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
	return duration.ReplaceAllStringFunc(text, func(found string) string {
		unit := strings.TrimLeft(found, "0123456789")
		n, err := strconv.Atoi(strings.TrimSuffix(found, unit))
		if err != nil {
			return found // longer than any number that means something
		}
		if n == 0 {
			return found
		}
		return strconv.Itoa(max(1, n*units[unit]/factor)) + "ms"
	})
}

func shortenEvaluation(text string, factor int) string {
	return evaluation.ReplaceAllStringFunc(text, func(line string) string { return ShortenDurations(line, factor) })
}

// writeComponents tells the desk what there is to watch.
func writeComponents(path string, services []service, versions map[string]string) error {
	var entries []status.Component
	for _, s := range services {
		entries = append(entries, status.Component{
			Name: s.name, Title: s.title, Version: versions[s.component], Address: s.address, Ready: s.ready, See: s.see,
		})
	}
	content, err := json.MarshalIndent(entries, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}
