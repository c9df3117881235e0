package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/sockscope/sockscope/internal/component"
)

// place is a place that names a component's version, after the text that before matches.
type place struct {
	// files is a pattern of paths in the repository.
	files string
	// before is a regular expression.
	before string
}

// places returns the places that name the version of a component, in addition to the modules.
func places(name string) []place {
	image := func(repository string) []place {
		before := `image: ` + repository + `:v?`
		return []place{{"docker-compose*.yml", before}, {"deploy/compose/*.yml", before}}
	}
	list := func(constant string) place {
		return place{"internal/component/versions.go", `(?m)^\t` + constant + ` += "`}
	}
	desk := func(name string) place {
		return place{"deploy/desk/*.json", `"name": "` + name + `",\s+"title": "[^"]+",\s+"version": "`}
	}
	switch name {
	case "victoria-logs":
		return append(image("victoriametrics/victoria-logs"), list("victoriaLogs"), desk(name))
	case "prometheus":
		return append(image("prom/prometheus"), list("prometheus"), desk(name))
	case "alertmanager":
		return append(image("prom/alertmanager"), list("alertmanager"), desk(name))
	case "otelcol":
		return append(image("otel/opentelemetry-collector-contrib"), list("collector"), desk("otel-collector"),
			place{"deploy/native/otelcol/main.go", `(?m)^const version = "`},
			place{"deploy/otel-collector/config.yaml", `^# OpenTelemetry Collector, contrib `})
	case "jaeger":
		return append(image("jaegertracing/jaeger"), list("jaeger"), desk(name), place{"deploy/jaeger/config.yaml", `^# Jaeger `})
	case "docker-compose":
		return []place{list("dockerCompose")}
	}
	return nil
}

// version matches the versions that components have.
var version = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+$`)

// visit calls do with the content of each file that has the component's version, where each version in it begins and
// ends. It returns an error if a place has none in any of its files.
func visit(root string, c component.Component, do func(path, content string, versions [][]int) error) error {
	for _, p := range places(c.Name) {
		paths, err := filepath.Glob(filepath.Join(root, p.files))
		if err != nil {
			return err
		}
		pattern := regexp.MustCompile(p.before + `([0-9]+\.[0-9]+\.[0-9]+)`)
		found := false
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			var versions [][]int
			for _, at := range pattern.FindAllSubmatchIndex(content, -1) {
				versions = append(versions, at[len(at)-2:])
			}
			if len(versions) == 0 {
				continue
			}
			found = true
			if err := do(path, string(content), versions); err != nil {
				return err
			}
		}
		if !found && !strings.HasPrefix(p.before, "image: ") {
			return fmt.Errorf("no version of %s is behind %q in %s: see places", c.Name, p.before, p.files)
		}
	}
	return nil
}

// replace puts the version into every place.
func replace(root string, c component.Component, to string) error {
	return visit(root, c, func(path, content string, versions [][]int) error {
		var out strings.Builder
		end := 0
		for _, at := range versions {
			out.WriteString(content[end:at[0]] + to)
			end = at[1]
		}
		out.WriteString(content[end:])
		return os.WriteFile(path, []byte(out.String()), 0o644)
	})
}
