package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sockscope/sockscope/mixin"
	board "github.com/sockscope/sockscope/mixin/dashboards"
)

func newMixinCommand() *cobra.Command {
	var f mixinFlags
	cmd := &cobra.Command{
		Use:   "mixin",
		Short: "Write alert rules, their tests, runbooks and dashboards for a service",
		Long: `Write the rules for Prometheus, their tests for promtool, the frames of the
runbooks, and the dashboards for Grafana, from one definition. The defaults are
those of the stack. A YAML file sets what differs for your service, and flags
override the file:

  transports: [websocket]
  namespace_label: exported_namespace
  selector: cluster="eu"
  objectives: {connections: 0.9995}
  thresholds: {latency_seconds: 0.5}
  runbook_url: https://runbooks.example.org/
  dashboard_url: https://grafana.example.org/d/

Runbooks keep the text that people have written outside of the frame. The tests are
only written for the default thresholds, objectives and speed.`,
		Example: `  sockscope mixin --rules out/rules --tests out/tests --runbooks out/runbooks
  sockscope mixin --config mine.yml --dashboards out/dashboards
  sockscope mixin --config mine.yml --rules out/rules
  promtool test rules out/tests/*.yml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.config, "config", "", "YAML file with the differences from the defaults")
	flags.StringVar(&f.rules, "rules", "", "folder for the rules")
	flags.StringVar(&f.tests, "tests", "", "folder for the tests, next to that of the rules")
	flags.StringVar(&f.runbooks, "runbooks", "", "folder for the runbooks")
	flags.StringVar(&f.dashboards, "dashboards", "", "folder for the dashboards")
	flags.StringVar(&f.victoriaLogs, "dashboards-victorialogs", "", "folder for those dashboards that ask for log records, asking VictoriaLogs in place of Loki")
	flags.BoolVar(&f.check, "check", false, "write nothing, and fail if a file differs from what would be written")
	flags.StringSliceVar(&f.transports, "transport", nil, "prefixes of the metrics' names, such as websocket")
	flags.StringVar(&f.namespaceLabel, "namespace-label", "", "label that distinguishes the endpoints of a service")
	flags.StringVar(&f.selector, "selector", "", `matchers for every metric, such as cluster="eu"`)
	flags.StringVar(&f.runbookURL, "runbook-url", "", "beginning of links to runbooks")
	flags.StringVar(&f.dashboardURL, "dashboard-url", "", "what links to dashboards begin with, up to /d/")
	flags.IntVar(&f.speed, "speed", 0, "divide all durations by this, for drills")
	flags.StringToStringVar(&f.objectives, "objective", nil, "share of good events of an SLO, such as connections=0.999")
	flags.StringToStringVar(&f.thresholds, "threshold", nil, "threshold of an alert, such as latency_seconds=0.5")
	return cmd
}

type mixinFlags struct {
	config, rules, tests, runbooks string
	dashboards, victoriaLogs       string
	check                          bool

	transports                                         []string
	namespaceLabel, selector, runbookURL, dashboardURL string
	speed                                              int
	objectives, thresholds                             map[string]string
}

// settings returns the defaults, changed by the file, changed by the flags.
func (f mixinFlags) settings() (mixin.Config, error) {
	var text []byte
	if f.config != "" {
		var err error
		if text, err = os.ReadFile(f.config); err != nil {
			return mixin.Config{}, fmt.Errorf("read the configuration: %w", err)
		}
	}
	c, err := mixin.ParseConfig(text)
	if err != nil {
		return mixin.Config{}, err
	}
	if f.transports != nil {
		c.Transports = f.transports
	}
	for _, flag := range []struct{ from, to *string }{
		{&f.namespaceLabel, &c.NamespaceLabel}, {&f.selector, &c.Selector}, {&f.runbookURL, &c.RunbookURL}, {&f.dashboardURL, &c.DashboardURL},
	} {
		if *flag.from != "" {
			*flag.to = *flag.from
		}
	}
	if f.speed != 0 {
		c.Speed = f.speed
	}
	if c.Objectives, err = withNumbers(c.Objectives, f.objectives); err != nil {
		return mixin.Config{}, fmt.Errorf("objective %w", err)
	}
	if c.Thresholds, err = withNumbers(c.Thresholds, f.thresholds); err != nil {
		return mixin.Config{}, fmt.Errorf("threshold %w", err)
	}
	return c, nil
}

func withNumbers(values map[string]float64, more map[string]string) (map[string]float64, error) {
	all := maps.Clone(values)
	if all == nil {
		all = make(map[string]float64)
	}
	for name, text := range more {
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all[name] = value
	}
	return all, nil
}

func (f mixinFlags) run(cmd *cobra.Command) error {
	c, err := f.settings()
	if err != nil {
		return err
	}
	rules, err := mixin.Files(c)
	if err != nil {
		return err
	}
	boards, err := board.Files(c)
	if err != nil {
		return err
	}
	victoriaLogs, err := board.VictoriaLogs(c)
	if err != nil {
		return err
	}
	folders := []folder{
		{f.rules, "*.yml", mixin.Header, rules},
		{f.dashboards, "*.json", board.Mark, boards},
		{f.victoriaLogs, "*.json", board.Mark, victoriaLogs},
	}
	if f.tests != "" && c.Speed == 1 && len(c.Thresholds) == 0 && len(c.Objectives) == 0 {
		if f.rules == "" {
			return errors.New("--tests needs --rules: the tests name the files of the rules")
		}
		path, err := filepath.Rel(f.tests, f.rules)
		if err != nil {
			return fmt.Errorf("find the rules from the folder of the tests: %w", err)
		}
		tests, err := mixin.Tests(c, filepath.ToSlash(path))
		if err != nil {
			return err
		}
		folders = append(folders, folder{f.tests, "*.yml", mixin.Header, tests})
	}
	if f.runbooks != "" {
		written, err := readPages(f.runbooks)
		if err != nil {
			return err
		}
		pages, err := mixin.Runbooks(c, written)
		if err != nil {
			return err
		}
		folders = append(folders, folder{path: f.runbooks, files: pages})
	}
	var differ []string
	for _, one := range folders {
		if one.path == "" {
			continue
		}
		paths, err := one.differing()
		if err != nil {
			return err
		}
		if differ = append(differ, paths...); f.check {
			continue
		}
		if err := one.write(); err != nil {
			return err
		}
	}
	for _, path := range differ {
		_, _ = fmt.Fprintln(cmd.OutOrStdout(), path)
	}
	if f.check && len(differ) > 0 {
		return fmt.Errorf("%d files differ from what they are made of: run this without --check", len(differ))
	}
	return nil
}

func readPages(dir string) (map[string]string, error) {
	pages := make(map[string]string)
	paths, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read the runbooks: %w", err)
		}
		pages[filepath.Base(path)] = string(text)
	}
	return pages, nil
}

// A folder maps the names of files to their contents. An existing file is a generated one if it fits the pattern and
// contains the mark.
type folder struct {
	path, pattern, mark string
	files               map[string]string
}

// differing returns the files that differ from their intended content, and stale ones.
func (f folder) differing() ([]string, error) {
	var paths []string
	for _, name := range slices.Sorted(maps.Keys(f.files)) {
		path := filepath.Join(f.path, name)
		text, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err != nil || string(text) != f.files[name] {
			paths = append(paths, path)
		}
	}
	stale, err := f.stale()
	return append(paths, stale...), err
}

// stale returns the generated files that are not generated any more. Files that people have added stay.
func (f folder) stale() ([]string, error) {
	if f.mark == "" {
		return nil, nil
	}
	paths, err := filepath.Glob(filepath.Join(f.path, f.pattern))
	if err != nil {
		return nil, err
	}
	var stale []string
	for _, path := range paths {
		if _, ok := f.files[filepath.Base(path)]; ok {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if strings.Contains(string(text), f.mark) {
			stale = append(stale, path)
		}
	}
	return stale, nil
}

func (f folder) write() error {
	if err := os.MkdirAll(f.path, 0o755); err != nil {
		return err
	}
	stale, err := f.stale()
	if err != nil {
		return err
	}
	for _, path := range stale {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	for name, text := range f.files {
		if err := os.WriteFile(filepath.Join(f.path, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
