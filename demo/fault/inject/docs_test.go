package inject

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFaultsAreDocumented compares docs/faults.md with the switches, and looks whether the telemetry that it names
// exists.
func TestFaultsAreDocumented(t *testing.T) {
	t.Parallel()
	f := newFaults(t, nil)
	var want []string
	for _, s := range f.all {
		st := s.State()
		strength := fmt.Sprint(st.Max)
		if st.Min != st.Max {
			strength = fmt.Sprintf("%v to %v %s", st.Min, st.Max, st.Unit)
		}
		want = append(want, fmt.Sprintf("`%s` | %s | %s", st.Name, strength, st.Description))
	}
	read := func(path string) string {
		data, err := os.ReadFile(filepath.Join("..", "..", "..", filepath.FromSlash(path)))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	rules := read("deploy/prometheus/rules/websocket.yml")
	telemetry := read("docs/telemetry.md")
	// Metrics of the runtime, and of the telemetry package itself.
	others := []string{
		"go_goroutines", "go_memstats_heap_alloc_bytes", "process_resident_memory_bytes", "sockscope_log_records_total",
	}
	metrics := regexp.MustCompile("`((?:websocket|sockscope|go|process)_[a-z_]+)(\\{[^`]*)?`")
	alerts := regexp.MustCompile(`\[([A-Za-z]+)\]\(runbooks/([A-Za-z]+)\.md\)`)

	var got []string
	for line := range strings.Lines(read("docs/faults.md")) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "| "), " | ")
		if len(cells) != 4 {
			t.Errorf("%d cells in %s", len(cells), line)
			continue
		}
		got = append(got, strings.Join(cells[:3], " | "))
		seen := cells[3]
		named := metrics.FindAllStringSubmatch(seen, -1)
		for _, m := range named {
			if !strings.Contains(telemetry, "| `"+m[1]+"` |") && !slices.Contains(others, m[1]) {
				t.Errorf("%s: there is no metric %s", cells[0], m[1])
			}
		}
		if len(named) == 0 {
			t.Errorf("%s: no metric shows it", cells[0])
		}
		for _, a := range alerts.FindAllStringSubmatch(seen, -1) {
			if a[1] != a[2] || !strings.Contains(rules, "alert: "+a[1]+"\n") {
				t.Errorf("%s: there is no alert %s with a runbook %s", cells[0], a[1], a[2])
			}
			read("docs/runbooks/" + a[2] + ".md")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/faults.md (-want +got):\n%s", diff)
	}
}
