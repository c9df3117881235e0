package drill

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sockscope/sockscope/internal/desk/tracing"
)

var update = flag.Bool("update", false, "write the golden files")

func spanOf(name string, took time.Duration, attribute, value string) tracing.Span {
	return tracing.Span{Name: name, Start: noon, End: noon.Add(took), Attributes: []tracing.Attribute{{Key: attribute, Value: value}}}
}

func sample() ([]Drill, Report) {
	drills := []Drill{
		{
			Name: "slow", About: "Everything takes longer.", Faults: []Fault{demoFault{"slow_handling", 1500}},
			Alert: "Slow", Within: 90 * time.Second,
		},
		{Name: "crash", About: "The demo dies.", Faults: []Fault{crash{"demo"}}, Alert: "Down", Within: 4 * time.Minute},
		{Name: "quiet", About: "Nothing happens.", Lasts: 30 * time.Minute},
	}
	return drills, Report{Note: "Measured on a quiet machine.", Results: []Result{
		{
			Drill: "slow", Speed: 1, Began: noon, Channels: map[string]float64{"pagerduty": 61, "slack": 62},
			Seconds: map[Link]float64{Visible: 3, Pending: 15, Firing: 60, Notified: 61, Resolved: 300, Told: 310},
		},
		{
			Page: &Page{"Late", 20.5}, Pages: 1,
			Drill: "slow", Speed: 1, Began: noon.Add(time.Hour), Channels: map[string]float64{"pagerduty": 81, "slack": 82},
			Seconds:  map[Link]float64{Visible: 5, Pending: 20, Firing: 80, Notified: 81, Resolved: 320, Told: 330},
			Others:   []Other{{Alert: "Late", Seconds: 90, Why: "it is late as well"}},
			Evidence: []Finding{{"panel", true, "Latency shows data"}, {"trace", true, "an exemplar leads to websocket.message of 1.5 s"}},
		},
		{
			Drill: "crash", Speed: 1, Began: noon, Seconds: map[Link]float64{Visible: 3},
			Failures: []string{"fault injected; metric moved after 3.0 s; rule never pending"},
		},
		{
			Drill: "quiet", Speed: 1, Began: noon, Others: []Other{{Alert: "Late", Seconds: 90}},
			Failures: []string{"false alarm: Late fired after 90 s"},
		},
		{
			Drill: "crash", Speed: 20, Began: noon, Seconds: map[Link]float64{Visible: 1, Pending: 2, Firing: 8, Resolved: 4},
			Muted: []string{"Missing"},
		},
	}}
}

func TestMarkdown(t *testing.T) {
	drills, report := sample()
	var got strings.Builder
	if err := report.Markdown(&got, drills); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "drills.golden.md")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("page (-want +got):\n%s\nIf that is right, run the test with -update.", diff)
	}
}

// TestWriteKeepsOthers writes two reports into one folder.
func TestWriteKeepsOthers(t *testing.T) {
	drills, report := sample()
	dir := filepath.Join(t.TempDir(), "out")
	first, err := json.Marshal(Report{Note: report.Note})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "drills.json"), first, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := report.Write(dir, drills); err != nil {
		t.Fatal(err)
	}
	again := Report{Results: []Result{{Drill: "crash", Speed: 1, Began: noon.Add(2 * time.Hour)}}}
	if err := again.Write(dir, drills); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "drills.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal(content, &got); err != nil {
		t.Fatal(err)
	}
	want := Report{Note: report.Note, Results: []Result{report.Results[0], report.Results[1], again.Results[0], report.Results[3], report.Results[4]}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	page, err := os.ReadFile(filepath.Join(dir, "drills.md"))
	if err != nil || strings.Contains(string(page), "`crash`, 2026-11-30 12:00:00") {
		t.Errorf("the page has the result that was replaced, or is not there: %v", err)
	}
}

func TestReportOfAFolderThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "drills.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (Report{}).Write(dir, nil); err == nil {
		t.Error("what is there and can't be read is replaced")
	}
}
