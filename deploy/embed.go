// Package deploy has the settings of the stack's components and the modules that they are built from, so that the
// program runs the stack without a checkout of the repository.
package deploy

import (
	"embed"
	"io/fs"
)

// Files that only docker-compose.yml mounts are left out.
//
//go:embed alertmanager/*.yml alertmanager/alternatives alertmanager/secrets alertmanager/templates
//go:embed grafana/dashboards grafana/provisioning
//go:embed jaeger loki/config.yaml native
//go:embed otel-collector/config.yaml otel-collector/cardinality.yaml otel-collector/targets/*.yaml
//go:embed prometheus/prometheus.yml prometheus/rules prometheus/targets
//go:embed victorialogs
var files embed.FS

// Files returns this folder as it was when the program was compiled.
func Files() fs.FS { return files }
