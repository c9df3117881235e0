//go:build e2e && unix

package e2e

import (
	"flag"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var write = flag.Bool("write", false, "rewrite components.txt with the labels and values that the components export")

// componentsFile lists the metrics of the components. A test holds rules, dashboards and runbooks to it. To use another
// metric, add a line with its name and run this test with -write.
const componentsFile = "../../deploy/prometheus/testdata/components.txt"

// notSeen returns why a metric of the list has no series on a stack on which nothing is wrong.
func notSeen(metric string) string {
	switch {
	case strings.HasPrefix(metric, "loki_"):
		return "this stack has VictoriaLogs"
	case metric == "sockscope_store_refused_items_total" || strings.HasPrefix(metric, "otelcol_exporter_send_failed_"):
		return "the stores refuse nothing"
	case metric == "sockscope_sender_start_time_seconds":
		return "each process has an instance of its own"
	}
	return ""
}

// testComponents compares the list with the series of the running stack: labels have to be the same, and values have to
// be among those of a closed set.
func (s *stack) testComponents(t *testing.T) {
	content, err := os.ReadFile(componentsFile)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(content)) {
		name, labels, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "#" || name == "" {
			lines = append(lines, strings.TrimSpace(line))
			continue
		}
		listed := make(map[string][]string) // no values where the set of them is open
		for _, label := range strings.Fields(labels) {
			label, values, closed := strings.Cut(label, "=")
			listed[label] = nil
			if closed {
				listed[label] = strings.Split(values, "|")
			}
		}
		exported := s.labelsOf(t, name)
		if exported == nil {
			if why := notSeen(name); why == "" {
				t.Errorf("no component exports %s", name)
			}
			lines = append(lines, strings.TrimSpace(line))
			continue
		}
		line = name
		for _, label := range slices.Sorted(maps.Keys(exported)) {
			values := exported[label]
			if listed[label] == nil {
				line += " " + label
				continue
			}
			for _, v := range listed[label] { // others show once something fails
				values[v] = true
			}
			line += " " + label + "=" + strings.Join(slices.Sorted(maps.Keys(values)), "|")
		}
		lines = append(lines, line)
	}
	got := strings.Join(lines, "\n") + "\n"
	if *write {
		if err := os.WriteFile(componentsFile, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(content), got); diff != "" && !*write {
		t.Errorf("components.txt is not what the components export; run this test with -write (-listed +exported):\n%s", diff)
	}
}

// labelsOf returns the labels of a metric in Prometheus with their values, nil if it has no series.
func (s *stack) labelsOf(t *testing.T, metric string) map[string]map[string]bool {
	t.Helper()
	var answer struct{ Data []map[string]string }
	query := url.Values{"match[]": {metric}, "start": {strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10)}}
	if err := fetch("http://"+s.at.Prometheus+"/api/v1/series?"+query.Encode(), &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Data) == 0 {
		return nil
	}
	labels := make(map[string]map[string]bool)
	for _, series := range answer.Data {
		for label, value := range series {
			if slices.Contains([]string{"__name__", "job", "instance", "le"}, label) {
				continue
			}
			if labels[label] == nil {
				labels[label] = make(map[string]bool)
			}
			labels[label][value] = true
		}
	}
	return labels
}
