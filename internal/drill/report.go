package drill

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Report is what is published of drills: their results, in the order in which the drills are listed.
type Report struct {
	// Note is what readers have to know of how it was measured, such as on what machine. People write it into the file.
	Note    string   `json:"note,omitempty"`
	Results []Result `json:"results"`
}

// Files of a report in its folder.
const (
	reportJSON     = "drills.json"
	reportMarkdown = "drills.md"
)

// Write writes drills.json and drills.md into a folder. Results of other drills, or at another speed, that are there
// already stay.
func (r Report) Write(dir string, all []Drill) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the folder of the report: %w", err)
	}
	var before Report
	content, err := os.ReadFile(filepath.Join(dir, reportJSON))
	if err == nil {
		err = json.Unmarshal(content, &before)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("read the report that is there: %w", err)
	}
	merged := r.over(before, all)
	if content, err = json.MarshalIndent(merged, "", "  "); err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, reportJSON), append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	var markdown strings.Builder
	if err := merged.Markdown(&markdown, all); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, reportMarkdown), []byte(markdown.String()), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// over returns this report with the results of an earlier report for other drills and speeds.
func (r Report) over(before Report, all []Drill) Report {
	merged := Report{Note: before.Note, Results: slices.Clone(r.Results)}
	for _, old := range before.Results {
		if !slices.ContainsFunc(r.Results, func(n Result) bool { return n.Drill == old.Drill && n.Speed == old.Speed }) {
			merged.Results = append(merged.Results, old)
		}
	}
	order := map[string]int{}
	for i, d := range all {
		order[d.Name] = i
	}
	slices.SortStableFunc(merged.Results, func(a, b Result) int {
		if a.Speed != b.Speed {
			return a.Speed - b.Speed
		}
		return order[a.Drill] - order[b.Drill]
	})
	return merged
}

// Failed returns the results that are not as they have to be.
func (r Report) Failed() []Result {
	return slices.DeleteFunc(slices.Clone(r.Results), Result.OK)
}

// runs are the results of one drill at one speed.
func (r Report) runs(name string, speed int) []Result {
	return slices.DeleteFunc(slices.Clone(r.Results), func(one Result) bool { return one.Drill != name || one.Speed != speed })
}

func (r Report) speeds() (list []int) {
	for _, one := range r.Results {
		if !slices.Contains(list, one.Speed) {
			list = append(list, one.Speed)
		}
	}
	return list
}

const introduction = `# Drills

For anyone who wants to know how soon a fault reaches the person on call, or wants to measure it. A drill breaks the running
stack on purpose and takes the times until the metric shows the fault, until the rule is pending, until it fires, and until
people are notified. After the fault is healed, it takes the times until the alert is resolved and people are told.

A drill passes if the alert's panel shows data, the trace and the log records name the cause, the queries of the runbook have
results, and no other alert fires without a known reason. Controls are events of an ordinary day: nothing may fire.

` + "```sh" + `
sockscope drill --list                     # list the drills
sockscope drill slow_handling              # on the running stack
sockscope drill --start --speed 20 --all   # each on a stack of its own, with rules that are 20 times as fast
sockscope drill --start --all --repeat 5 --out docs
` + "```" + `

The last command takes a day and writes this page. ` + "`make drill`" + ` runs some of them at high speed. A failed drill names
the broken link of the chain, as in "fault injected; metric moved after 3.0 s; rule never pending".

During a drill, 100 clients talk in rooms, with 40 messages a second in all, and 20 clients watch the market. All dashboards, at
the desk and in Grafana, mark from when its fault is injected until it is healed.
`

// Markdown writes the report as a page. It knows what the drills are about from their list.
func (r Report) Markdown(w io.Writer, all []Drill) error {
	var out strings.Builder
	out.WriteString(introduction)
	if r.Note != "" {
		out.WriteString("\n" + r.Note + "\n")
	}
	for _, speed := range r.speeds() {
		r.section(&out, speed, all)
	}
	if _, err := io.WriteString(w, out.String()); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	return nil
}

func (r Report) section(out *strings.Builder, speed int, all []Drill) {
	if speed == 1 {
		out.WriteString("\n## At true speed\n")
	} else {
		fmt.Fprintf(out, "\n## %d times as fast\n\nRules, routes and their timers are %[1]d times as fast; scrapes are once a second, "+
			"and the service's own timers stay as they are. Don't compare these times with those at true speed.\n", speed)
	}
	out.WriteString("\nTimes count from the fault, and for the last two columns from healing: the median of the runs, and the worst. Runs that ended with\n" +
		"healing (`--skip-recovery`) have no times there. The first page is of any alert. One cause should be one page.\n\n" +
		"| drill | what is done | alert | runs | metric | pending | firing | notified | limit | first page | pages | resolved | told |\n" +
		"|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	var controls, evidence, failures strings.Builder
	for _, d := range all {
		runs := r.runs(d.Name, speed)
		if len(runs) == 0 {
			continue
		}
		if d.Control() {
			fmt.Fprintf(&controls, "| `%s` | %s | %s | %v | %s |\n", d.Name, d.About, what(d), d.Lasts, alarms(runs))
		} else {
			fmt.Fprintf(out, "| `%s` | %s | %s | %d |", d.Name, what(d), alertLink(d), len(runs))
			for _, link := range []Link{Visible, Pending, Firing, Notified} {
				fmt.Fprintf(out, " %s |", medianAndWorst(runs, took(link)))
			}
			fmt.Fprintf(out, " %s | %s | %d |", seconds(d.limit(speed).Seconds()), medianAndWorst(runs, firstPage), mostPages(runs))
			for _, link := range []Link{Resolved, Told} {
				fmt.Fprintf(out, " %s |", medianAndWorst(runs, took(link)))
			}
			out.WriteString("\n")
			tell(&evidence, d, runs)
		}
		for _, run := range runs {
			for _, failure := range run.Failures {
				fmt.Fprintf(&failures, "- `%s`, %s: %s\n", d.Name, run.Began.UTC().Format(time.DateTime), failure)
			}
		}
	}
	if controls.Len() > 0 {
		out.WriteString("\n### Controls\n\n| control | what happens | what is done | watched for | false alarms |\n|---|---|---|---|---|\n" + controls.String())
	}
	if evidence.Len() > 0 {
		out.WriteString("\n### What led to the cause\n" + evidence.String())
	}
	if failures.Len() > 0 {
		out.WriteString("\n### What failed\n\n" + failures.String())
	}
}

// what says what is done in a drill.
func what(d Drill) string {
	if len(d.Faults) == 0 {
		return "nothing"
	}
	said := make([]string, 0, len(d.Faults))
	for _, f := range d.Faults {
		said = append(said, "`"+f.String()+"`")
	}
	return strings.Join(said, ", ")
}

// alertLink links the runbook of a drill's alert.
func alertLink(d Drill) string {
	runbook := d.Alert
	if d.Unruled {
		runbook = watchdog // whose silence it is
	}
	return fmt.Sprintf("[%s](runbooks/%s.md)", d.Alert, runbook)
}

// tell writes what the newest run found, who was notified and what else fired.
func tell(out *strings.Builder, d Drill, runs []Result) {
	last := runs[len(runs)-1]
	fmt.Fprintf(out, "\n**`%s`** %s\n", d.Name, d.About)
	for _, f := range last.Evidence {
		if f.OK {
			fmt.Fprintf(out, "- %s: %s\n", f.What, f.Detail)
		}
	}
	if last.Page != nil && last.Page.Alert != d.Alert {
		fmt.Fprintf(out, "- the first page is %s\n", last.Page.Alert)
	}
	if len(last.Muted) > 0 {
		fmt.Fprintf(out, "- held back by Alertmanager since %s told of it\n", strings.Join(last.Muted, ", "))
	}
	seen := map[string]bool{}
	for _, run := range runs {
		for _, o := range run.Others {
			if o.Why != "" && !seen[o.Alert] {
				seen[o.Alert] = true
				fmt.Fprintf(out, "- fires too: %s, since %s\n", o.Alert, o.Why)
			}
		}
	}
}

// took returns the time of a link in a run, if it held.
func took(link Link) func(Result) (float64, bool) {
	return func(r Result) (float64, bool) { s, ok := r.Seconds[link]; return s, ok }
}

func firstPage(r Result) (float64, bool) {
	if r.Page == nil {
		return 0, false
	}
	return r.Page.Seconds, true
}

func mostPages(runs []Result) (most int) {
	for _, run := range runs {
		most = max(most, run.Pages)
	}
	return most
}

// medianAndWorst writes a time over all runs that have one.
func medianAndWorst(runs []Result, of func(Result) (float64, bool)) string {
	var all []float64
	for _, run := range runs {
		if s, ok := of(run); ok {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return "–"
	}
	slices.Sort(all)
	text := seconds(median(all))
	if len(all) > 1 {
		text += " / " + seconds(all[len(all)-1])
	}
	if len(all) < len(runs) {
		text += fmt.Sprintf(" (%d of %d)", len(all), len(runs))
	}
	return text
}

// median of sorted numbers, of which there is at least one.
func median(sorted []float64) float64 {
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}

// alarms says how often something fired in a control, and what.
func alarms(runs []Result) string {
	var fired []string
	n := 0
	for _, run := range runs {
		if !run.OK() {
			n++
		}
		for _, o := range run.Others {
			if o.Why == "" && !slices.Contains(fired, o.Alert) {
				fired = append(fired, o.Alert)
			}
		}
	}
	text := fmt.Sprintf("%d of %d", n, len(runs))
	if n > 0 {
		text += ": " + strings.Join(fired, ", ")
	}
	return text
}
