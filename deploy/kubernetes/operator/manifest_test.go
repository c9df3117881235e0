package operator_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// deployment returns where the files of the deployment are, as an absolute path that begins in this module. The go
// command believes a kept result until a file changes that the test has opened, and of those it only looks at files
// whose path does so.
func deployment(t *testing.T) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return here + "/../.."
}

// TestFieldCase19ManifestsAreOfTheirKind decodes the manifests as the API server does with strict validation, which
// refuses fields that the kind does not have.
func TestFieldCase19ManifestsAreOfTheirKind(t *testing.T) {
	for _, test := range []struct {
		file, kind string
		into       any
	}{
		{"podmonitor.yaml", monitoringv1.PodMonitorsKind, new(monitoringv1.PodMonitor)},
		{"servicemonitor.yaml", monitoringv1.ServiceMonitorsKind, new(monitoringv1.ServiceMonitor)},
	} {
		t.Run(test.kind, func(t *testing.T) {
			content, err := os.ReadFile(deployment(t) + "/kubernetes/" + test.file)
			if err != nil {
				t.Fatal(err)
			}
			if err := yaml.UnmarshalStrict(content, test.into); err != nil {
				t.Fatal(err)
			}
			object := test.into.(interface {
				GroupVersionKind() schema.GroupVersionKind
			})
			if got, want := object.GroupVersionKind(), monitoringv1.SchemeGroupVersion.WithKind(test.kind); got != want {
				t.Errorf("%s is a %v, want a %v", test.file, got, want)
			}
		})
	}
}

// TestFieldCase19RulesFitIntoAManifest puts the rules under the spec of a PrometheusRule, as docs/kubernetes.md says.
func TestFieldCase19RulesFitIntoAManifest(t *testing.T) {
	paths, err := filepath.Glob(deployment(t) + "/prometheus/rules/*.yml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no rules (%v)", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			rules, err := os.ReadFile(deployment(t) + "/prometheus/rules/" + filepath.Base(path))
			if err != nil {
				t.Fatal(err)
			}
			object := "spec:\n  " + strings.ReplaceAll(string(rules), "\n", "\n  ")
			var rule monitoringv1.PrometheusRule
			if err := yaml.UnmarshalStrict([]byte(object), &rule); err != nil {
				t.Fatal(err)
			}
			if len(rule.Spec.Groups) == 0 || len(rule.Spec.Groups[0].Rules) == 0 {
				t.Error("no rules in it")
			}
		})
	}
}
