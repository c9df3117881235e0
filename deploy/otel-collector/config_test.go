package otelcollector_test

import (
	"os"
	"slices"
	"testing"

	"gopkg.in/yaml.v3"
)

// TestCardinalityConfig holds the lists of processors in cardinality.yaml to those of config.yaml, with cardinality at
// the end, and has every pipeline in which there are names that senders make.
func TestCardinalityConfig(t *testing.T) {
	type config struct {
		Service struct {
			Pipelines map[string]struct{ Receivers, Processors []string }
		}
	}
	var base, ours config
	for file, to := range map[string]*config{"config.yaml": &base, "cardinality.yaml": &ours} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(content, to); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	for name, pipeline := range ours.Service.Pipelines {
		if want := append(slices.Clone(base.Service.Pipelines[name].Processors), "cardinality"); !slices.Equal(pipeline.Processors, want) {
			t.Errorf("%s has the processors %q, want %q", name, pipeline.Processors, want)
		}
	}
	// These get what another pipeline has limited or will limit, or what the Collector makes itself.
	elsewhere := []string{"metrics/to_prometheus", "metrics/scraped_to_prometheus", "metrics/to_count", "metrics/counts", "metrics/frequent", "metrics/host", "logs"}
	for name := range base.Service.Pipelines {
		if _, limited := ours.Service.Pipelines[name]; limited == slices.Contains(elsewhere, name) {
			t.Errorf("%s is limited: %v", name, limited)
		}
	}
}
