package mixin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"

	"gopkg.in/yaml.v3"
)

// Config is what differs between the services that rules are made for. Start from [Default].
type Config struct {
	// Transports are the prefixes of the metrics: an observer of the protocol sse exports sse_active_connections.
	Transports []string `yaml:"transports"`
	// NamespaceLabel tells the endpoints of a service apart. It is exported_namespace where a label of the target has
	// taken the place of namespace.
	NamespaceLabel string `yaml:"namespace_label"`
	// Selector is added to every metric, as in cluster="eu", env="prod".
	Selector string `yaml:"selector"`
	// RunbookURL is what the link to a runbook begins with. The alert's name and ".md" follow.
	RunbookURL string `yaml:"runbook_url"`
	// DashboardURL is what the link to a dashboard begins with. It may be a template of Prometheus. The dashboard's
	// uid, the panel, and variables for transport, job and endpoint follow.
	DashboardURL string `yaml:"dashboard_url"`
	// Speed divides all durations, windows and intervals, for drills. Rules for people have 1.
	Speed int `yaml:"speed"`
	// Objectives are the shares of good events, by SLO, that differ from the default, as in connections: 0.999.
	Objectives map[string]float64 `yaml:"objectives"`
	// Thresholds differ from the default, by name. The runbook of an alert lists its names.
	Thresholds map[string]float64 `yaml:"thresholds"`
}

// Default returns the configuration of the rules that are shipped.
func Default() Config {
	return Config{
		Transports:     []string{"websocket", "sse", "grpc_stream", "socketio"},
		NamespaceLabel: "namespace",
		RunbookURL:     "https://github.com/sockscope/sockscope/blob/main/docs/runbooks/",
		DashboardURL:   "{{ $externalLabels.grafana_url }}/d/",
		Speed:          1,
	}
}

// ParseConfig reads a configuration in YAML. Fields that it leaves out keep the values of [Default]. An unknown field
// is an error.
func ParseConfig(text []byte) (Config, error) {
	c := Default()
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, fmt.Errorf("read the configuration of the rules: %w", err)
	}
	if err := c.validate(); err != nil {
		return Config{}, err
	}
	return c, nil
}

var (
	labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	matchers  = regexp.MustCompile(`^([a-zA-Z_][a-zA-Z0-9_]*\s*(=|!=|=~|!~)\s*"[^"{}]*"\s*(,\s*|$))*$`)
)

func (c Config) validate() error {
	if len(c.Transports) == 0 {
		return errors.New("transports is empty: name at least one, as websocket")
	}
	for _, transport := range c.Transports {
		if !labelName.MatchString(transport) {
			return fmt.Errorf("transport %q can't begin the name of a metric", transport)
		}
	}
	if !labelName.MatchString(c.NamespaceLabel) {
		return fmt.Errorf("namespace_label %q is not a label", c.NamespaceLabel)
	}
	if !matchers.MatchString(c.Selector) {
		return fmt.Errorf(`selector %q is not a list of matchers: write it as cluster="eu", env="prod"`, c.Selector)
	}
	if c.Speed < 1 {
		return fmt.Errorf("speed is %d: 1 is true speed, and more is faster", c.Speed)
	}
	known := make(map[string]bool)
	for _, o := range append(transportObjectives(), userObjectives()...) {
		known[o.name] = true
	}
	for name, value := range c.Objectives {
		if !known[name] {
			return fmt.Errorf("there is no SLO %q", name)
		}
		if value <= 0 || value >= 1 {
			return fmt.Errorf("objective %s is %v: it is a share of good events, as 0.999", name, value)
		}
	}
	_, err := Thresholds(c)
	return err
}
