package desk

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"gopkg.in/yaml.v3"
)

// consolePath is the label of targets in files that says where their live console is mounted. Like every label that
// begins so, it is on no metric.
const consolePath = "__console_path__"

// Limits of files of targets.
const (
	maxTargetFile = 1 << 20
	maxConsoles   = 200
)

// consoles are the live consoles of services: those that were named, and those of the targets in files. The files are
// read whenever they are asked for, since targets come and go.
type consoles struct {
	named   []string
	targets []string // patterns of files
}

// all returns the addresses, each once. The error is about files that can't be read, and the addresses are those of the
// others.
func (c consoles) all() ([]string, error) {
	addresses := slices.Clone(c.named)
	var failed error
	for _, pattern := range c.targets {
		files, err := filepath.Glob(pattern)
		failed = errors.Join(failed, err)
		for _, file := range files {
			more, err := consolesIn(file)
			failed = errors.Join(failed, err)
			addresses = append(addresses, more...)
		}
	}
	var list []string
	for _, address := range addresses {
		if !slices.Contains(list, address) && len(list) < maxConsoles {
			list = append(list, address)
		}
	}
	return list, failed
}

// consolesIn returns the addresses of the consoles in a file of targets, as Prometheus and the Collector read it: a
// list of targets with labels.
func consolesIn(path string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read targets: %w", err)
	}
	defer file.Close()
	var groups []struct {
		Targets []string          `yaml:"targets"`
		Labels  map[string]string `yaml:"labels"`
	}
	if err := yaml.NewDecoder(io.LimitReader(file, maxTargetFile)).Decode(&groups); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the targets in %s: %w", path, err)
	}
	var list []string
	for _, group := range groups {
		mounted, ok := group.Labels[consolePath]
		if !ok {
			continue
		}
		for _, target := range group.Targets {
			address := "http://" + target + mounted
			if u, err := url.Parse(address); err != nil || u.Host != target || u.Path != mounted {
				return nil, fmt.Errorf("read the targets in %s: %q with the console at %q is no address: give a target as host:port, and its label %s as /debug/realtime/",
					path, target, mounted, consolePath)
			}
			list = append(list, address)
		}
	}
	return list, nil
}
