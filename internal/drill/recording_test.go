package drill

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sockscope/sockscope/deploy"
	"github.com/sockscope/sockscope/internal/dashboard"
	"github.com/sockscope/sockscope/internal/desk/inbox"
	"github.com/sockscope/sockscope/mixin"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func after(seconds float64) time.Time {
	return noon.Add(time.Duration(seconds * float64(time.Second)))
}

// tape writes down what was seen. The metric shows the fault after three seconds. Rules are evaluated every second from
// a minute before the fault, which is at noon.
type tape struct{ rec Recording }

func recorded(until float64) *tape {
	t := &tape{Recording{Since: after(-60), Injected: noon, Until: after(until)}}
	return t.alert(watchdog, "none", -60, until, true)
}

func (t *tape) alert(name, severity string, from, to float64, firing bool) *tape {
	for s := from; s <= to; s++ {
		t.rec.Samples = append(t.rec.Samples, Sample{after(s), name, severity, firing})
	}
	return t
}

func (t *tape) notice(seconds float64, alert, channel string, resolved bool) *tape {
	t.rec.Notices = append(t.rec.Notices, Notice{At: after(seconds), Alert: alert, Channel: channel, Resolved: resolved})
	return t
}

func (t *tape) visible() *tape               { t.rec.Visible = after(3); return t }
func (t *tape) healed(seconds float64) *tape { t.rec.Healed = after(seconds); return t }
func (t *tape) left() *tape                  { t.rec.Left = true; return t }
func (t *tape) muted(by ...string) *tape     { t.rec.Mutes = by; return t }

func (t *tape) rejected(seconds float64, alert, channel, why string) *tape {
	t.rec.Notices = append(t.rec.Notices, Notice{At: after(seconds), Alert: alert, Channel: channel, Rejected: why})
	return t
}

func (t *tape) incident(seconds float64, alert, key string) *tape {
	t.rec.Notices = append(t.rec.Notices, Notice{At: after(seconds), Alert: alert, Channel: "pagerduty", Incident: key})
	return t
}

// whole is a drill in which everything went as it has to.
func whole(severity string) *tape {
	t := recorded(120).visible().alert("Slow", severity, 5, 19, false).alert("Slow", severity, 20, 59, true).healed(40)
	if severity == "critical" {
		t.notice(21, "Slow", "pagerduty", false)
	}
	t.notice(22, "Slow", "slack", false)
	if severity == "critical" {
		t.notice(65, "Slow", "pagerduty", true)
	}
	return t.notice(66, "Slow", "slack", true)
}

func TestJudge(t *testing.T) {
	drill := Drill{Name: "slow", Metric: "m > 1", Alert: "Slow", Within: 30 * time.Second, Also: map[string]string{"Late": "it is late as well"}}
	for _, test := range []struct {
		name     string
		tape     *tape
		drill    Drill
		evidence []Finding
		seconds  map[Link]float64
		channels map[string]float64
		failures []string
	}{
		{
			name: "a page", tape: whole("critical"),
			seconds:  map[Link]float64{Visible: 3, Pending: 5, Firing: 20, Notified: 21, Resolved: 20, Told: 25},
			channels: map[string]float64{"pagerduty": 21, "slack": 22},
		},
		{
			name: "a warning", tape: whole("warning"),
			seconds:  map[Link]float64{Visible: 3, Pending: 5, Firing: 20, Notified: 22, Resolved: 20, Told: 26},
			channels: map[string]float64{"slack": 22},
		},
		{
			name:    "one for dashboards",
			tape:    recorded(120).visible().alert("Slow", "info", 5, 19, false).alert("Slow", "info", 20, 59, true).healed(40),
			seconds: map[Link]float64{Visible: 3, Pending: 5, Firing: 20, Resolved: 20},
		},
		{
			name: "one for dashboards, too late", drill: Drill{Name: "slow", Metric: "m > 1", Alert: "Slow", Within: 15 * time.Second},
			tape:     recorded(120).visible().alert("Slow", "info", 5, 19, false).alert("Slow", "info", 20, 59, true).healed(40),
			seconds:  map[Link]float64{Visible: 3, Pending: 5, Firing: 20, Resolved: 20},
			failures: []string{"fault injected; metric moved after 3.0 s; rule pending after 5.0 s; firing after 20 s; which is later than 15 s"},
		},
		{
			name: "one for dashboards that people are told of", tape: whole("info"),
			seconds:  map[Link]float64{Visible: 3, Pending: 5, Firing: 20, Notified: 22, Resolved: 20, Told: 26},
			channels: map[string]float64{"slack": 22},
			failures: []string{
				"fault injected; metric moved after 3.0 s; rule pending after 5.0 s; firing after 20 s; notified after 22 s, though only dashboards are to show it",
			},
		},
		{
			name: "the metric never moved", tape: recorded(60).healed(50),
			seconds:  map[Link]float64{},
			failures: []string{"fault injected; metric never moved"},
		},
		{
			name: "the rule never held", tape: recorded(60).visible().healed(50),
			seconds:  map[Link]float64{Visible: 3},
			failures: []string{"fault injected; metric moved after 3.0 s; rule never pending"},
		},
		{
			name: "it did not hold for long enough", tape: recorded(60).visible().alert("Slow", "critical", 5, 9, false).healed(50),
			seconds:  map[Link]float64{Visible: 3, Pending: 5},
			failures: []string{"fault injected; metric moved after 3.0 s; rule pending after 5.0 s; never firing"},
		},
		{
			name:     "Alertmanager told nobody",
			tape:     recorded(60).visible().alert("Slow", "critical", 5, 50, true).healed(50),
			seconds:  map[Link]float64{Visible: 3, Pending: 5, Firing: 5, Resolved: 1},
			failures: []string{"fault injected; metric moved after 3.0 s; rule pending after 5.0 s; firing after 5.0 s; nobody notified"},
		},
		{
			name:     "the channel was told and nobody was called",
			tape:     recorded(60).visible().alert("Slow", "critical", 5, 45, true).notice(6, "Slow", "slack", false).healed(40).notice(50, "Slow", "slack", true),
			seconds:  map[Link]float64{Visible: 3, Pending: 5, Firing: 5, Notified: 6, Resolved: 6, Told: 10},
			channels: map[string]float64{"slack": 6},
			failures: []string{"fault injected; metric moved after 3.0 s; rule pending after 5.0 s; firing after 5.0 s; notified after 6.0 s; but not by pagerduty"},
		},
		{
			name:     "the pager refused it",
			tape:     whole("warning").rejected(23, "Slow", "pagerduty", "no routing key"),
			seconds:  map[Link]float64{Visible: 3, Pending: 5, Firing: 20, Notified: 22, Resolved: 20, Told: 26},
			channels: map[string]float64{"slack": 22},
			failures: []string{"pagerduty refused a notification of Slow: no routing key"},
		},
		{
			name: "too late", tape: whole("warning"), drill: Drill{Name: "slow", Metric: "m > 1", Alert: "Slow", Within: 20 * time.Second},
			seconds:  map[Link]float64{Visible: 3, Pending: 5, Firing: 20, Notified: 22, Resolved: 20, Told: 26},
			channels: map[string]float64{"slack": 22},
			failures: []string{"fault injected; metric moved after 3.0 s; rule pending after 5.0 s; firing after 20 s; notified after 22 s; which is later than 20 s"},
		},
		{
			name:     "still firing",
			tape:     recorded(60).visible().alert("Slow", "warning", 5, 60, true).notice(6, "Slow", "slack", false).healed(40),
			seconds:  map[Link]float64{Visible: 3, Pending: 5, Firing: 5, Notified: 6},
			channels: map[string]float64{"slack": 6},
			failures: []string{"fault injected; metric moved after 3.0 s; rule pending after 5.0 s; firing after 5.0 s; notified after 6.0 s; fault healed; alert never resolved"},
		},
		{
			name:     "left when it was healed",
			tape:     recorded(40).visible().alert("Slow", "warning", 5, 40, true).notice(6, "Slow", "slack", false).healed(40).left(),
			seconds:  map[Link]float64{Visible: 3, Pending: 5, Firing: 5, Notified: 6},
			channels: map[string]float64{"slack": 6},
		},
		{
			name:     "nobody told of the end",
			tape:     recorded(60).visible().alert("Slow", "warning", 5, 49, true).notice(6, "Slow", "slack", false).healed(40),
			seconds:  map[Link]float64{Visible: 3, Pending: 5, Firing: 5, Notified: 6, Resolved: 10},
			channels: map[string]float64{"slack": 6},
			failures: []string{"fault injected; metric moved after 3.0 s; rule pending after 5.0 s; firing after 5.0 s; notified after 6.0 s; fault healed; resolved after 10 s; nobody told"},
		},
		{
			name:    "held back for what pages already",
			tape:    recorded(90).visible().alert("Slow", "warning", 5, 60, true).alert("Late", "critical", 4, 60, true).muted("Late").healed(50),
			seconds: map[Link]float64{Visible: 3, Pending: 5, Firing: 5, Resolved: 11},
		},
		{
			name:    "held back for something else",
			tape:    recorded(90).visible().alert("Slow", "warning", 5, 60, true).muted("Other").healed(50),
			seconds: map[Link]float64{Visible: 3, Pending: 5, Firing: 5, Resolved: 11},
			failures: []string{
				"fault injected; metric moved after 3.0 s; rule pending after 5.0 s; firing after 5.0 s; nobody notified, muted by Other",
			},
		},
		{
			name: "the heartbeat stays away", drill: Drill{Name: "heartbeat", Alert: inbox.SilenceAlert, Within: 3 * time.Minute, Unruled: true},
			tape:     recorded(0).notice(100, inbox.SilenceAlert, "desk", false).healed(110).notice(130, inbox.SilenceAlert, "desk", true),
			seconds:  map[Link]float64{Notified: 100, Told: 20},
			channels: map[string]float64{"desk": 100},
		},
		{
			name: "nobody misses the heartbeat", drill: Drill{Name: "heartbeat", Alert: inbox.SilenceAlert, Within: 3 * time.Minute, Unruled: true},
			tape: recorded(0).healed(110), seconds: map[Link]float64{},
			failures: []string{"fault injected; nobody notified"},
		},
		{
			name: "others", tape: whole("critical").alert("Late", "critical", 30, 40, true).alert("Wrong", "warning", 31, 40, true),
			seconds:  map[Link]float64{Visible: 3, Pending: 5, Firing: 20, Notified: 21, Resolved: 20, Told: 25},
			channels: map[string]float64{"pagerduty": 21, "slack": 22},
			failures: []string{"false alarm: Wrong fired after 31 s"},
		},
		{
			name: "before the fault", tape: whole("critical").alert("Slow", "critical", -10, -5, true).alert("Late", "critical", -9, -5, true),
			seconds:  map[Link]float64{Visible: 3, Pending: 5, Firing: 20, Notified: 21, Resolved: 20, Told: 25},
			channels: map[string]float64{"pagerduty": 21, "slack": 22},
			failures: []string{"false alarm: Slow fired before the fault", "false alarm: Late fired before the fault"},
		},
		{
			name:     "two pages for one cause",
			tape:     whole("critical").alert("Late", "critical", 21, 30, true).incident(23, "Late", "another"),
			seconds:  map[Link]float64{Visible: 3, Pending: 5, Firing: 20, Notified: 21, Resolved: 20, Told: 25},
			channels: map[string]float64{"pagerduty": 21, "slack": 22},
			failures: []string{"whoever is on call was paged by 2 incidents for one cause"},
		},
		{
			name: "no way to the cause", tape: whole("critical"),
			evidence: []Finding{{"panel", true, "shows data"}, {"trace", false, "no exemplar"}},
			seconds:  map[Link]float64{Visible: 3, Pending: 5, Firing: 20, Notified: 21, Resolved: 20, Told: 25},
			channels: map[string]float64{"pagerduty": 21, "slack": 22},
			failures: []string{"trace: no exemplar"},
		},
		{name: "a control", drill: Drill{Name: "quiet"}, tape: recorded(60).alert("Slow", "critical", 5, 30, false), seconds: map[Link]float64{}},
		{
			name: "a control that is none", drill: Drill{Name: "quiet"}, tape: recorded(60).alert("Slow", "critical", 5, 30, true),
			seconds:  map[Link]float64{},
			failures: []string{"false alarm: Slow fired after 5.0 s"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := test.drill
			if d.Name == "" {
				d = drill
			}
			got := judge(d, 1, test.tape.rec, test.evidence)
			approximately := cmpopts.EquateApprox(0, 0.001)
			if diff := cmp.Diff(test.seconds, got.Seconds, approximately); diff != "" {
				t.Errorf("links (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.channels, got.Channels, approximately, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("channels (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.failures, got.Failures); diff != "" {
				t.Errorf("failures (-want +got):\n%s", diff)
			}
		})
	}
}

// TestResolvedOfASlowRule has the rule of an alert evaluated more rarely than the one that always fires.
func TestResolvedOfASlowRule(t *testing.T) {
	tape := recorded(31)
	for s := 0.0; s <= 20; s += 10 {
		tape.alert("Slow", "critical", s, s, true)
	}
	if at := tape.rec.resolved("Slow", after(20)); !at.IsZero() {
		t.Errorf("resolved at %v, before its rule was evaluated twice", at)
	}
	tape.rec.Until = after(41)
	if at := tape.rec.resolved("Slow", after(20)); !at.Equal(after(30)) {
		t.Errorf("resolved at %v, want %v", at, after(30))
	}
}

// TestBusyMachine has an alert fire that is about the machine.
func TestBusyMachine(t *testing.T) {
	rec := recorded(60).alert("HostCPUSaturated", "warning", -10, 30, true).rec
	got := judge(Drill{Name: "quiet"}, 1, rec, nil)
	if len(got.Failures) > 0 || len(got.Others) != 1 || got.Others[0].Why == "" {
		t.Errorf("failures %v, others %v", got.Failures, got.Others)
	}
}

func TestFirstPage(t *testing.T) {
	rec := whole("critical").rec
	rec.Notices = append([]Notice{
		{At: after(-5), Alert: "Old", Channel: "pagerduty"},
		{At: after(1), Alert: "Old", Channel: "pagerduty", Resolved: true},
		{At: after(2), Alert: "Bad", Channel: "pagerduty", Rejected: "no routing key"},
		{At: after(3), Alert: "Late", Channel: "slack"},
		{At: after(4), Alert: "Late", Channel: "pagerduty"},
	}, rec.Notices...)
	first, incidents := rec.pages()
	if diff := cmp.Diff(&Page{"Late", 4}, first); diff != "" || incidents != 1 {
		t.Errorf("%d incidents, first page (-want +got):\n%s", incidents, diff)
	}
	if first, incidents := recorded(60).rec.pages(); first != nil || incidents != 0 {
		t.Errorf("nobody was paged, and yet %v, %d", first, incidents)
	}
}

func TestSettled(t *testing.T) {
	tape := whole("critical").notice(30, "HostCPUSaturated", "slack", false)
	if !tape.rec.settled() {
		t.Error("all were told of the end, and yet it is not settled")
	}
	if tape.notice(70, "Slow", "slack", false).rec.settled() {
		t.Error("settled, though the channel was told that it fires again")
	}
}

func TestLimit(t *testing.T) {
	d := Drill{Within: 9 * time.Minute, Takes: time.Minute}
	if got := d.limit(1); got != 9*time.Minute {
		t.Errorf("at true speed within %v, want %v", got, 9*time.Minute)
	}
	// What the service takes is not faster: 60 s, then 8 min / 20, then slack.
	if got, want := d.limit(20), 94*time.Second; got != want {
		t.Errorf("20 times as fast within %v, want %v", got, want)
	}
}

func TestDrillsAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range Drills() {
		if seen[d.Name] {
			t.Errorf("%s is there twice", d.Name)
		}
		seen[d.Name] = true
		if !strings.HasSuffix(d.About, ".") {
			t.Errorf("%s: %q is no sentence", d.Name, d.About)
		}
		if d.Control() {
			if d.Lasts == 0 || d.Within != 0 || d.Metric != "" {
				t.Errorf("the control %s is watched for %v, and has what only a fault has", d.Name, d.Lasts)
			}
			continue
		}
		if len(d.Faults) == 0 || (d.Metric == "" && !d.Unruled) || d.Within <= d.Takes {
			t.Errorf("%s lacks a fault, a metric or time", d.Name)
		}
		if d.Trace != nil && d.Trace.Exemplars == "" && d.Log == nil {
			t.Errorf("%s has a trace that nothing leads to", d.Name)
		}
	}
}

func TestFind(t *testing.T) {
	all := []Drill{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	got, err := Find(all, "c", "a")
	if err != nil || len(got) != 2 || got[0].Name != "c" || got[1].Name != "a" {
		t.Errorf("found %v, %v", got, err)
	}
	if _, err := Find(all, "d"); err == nil || err.Error() != `there is no drill "d": there are a, b, c` {
		t.Errorf("error is %v", err)
	}
}

// TestPanelsExist holds the titles of panels in drills to the dashboards.
func TestPanelsExist(t *testing.T) {
	titles := map[string]bool{}
	names, err := fs.Glob(deploy.Files(), "grafana/dashboards/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		content, err := fs.ReadFile(deploy.Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		board, err := dashboard.Parse(name, content)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range board.AllPanels() {
			titles[p.Title] = true
		}
	}
	for _, d := range Drills() {
		if d.Panel != "" && !titles[d.Panel] {
			t.Errorf("%s: no dashboard has a panel %q", d.Name, d.Panel)
		}
	}
}

// TestDrillsKnowTheRules holds the names in drills to the alerts that are defined.
func TestDrillsKnowTheRules(t *testing.T) {
	defined, err := mixin.Alerts(mixin.Default())
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, a := range defined {
		known[a.Name] = true
	}
	for _, d := range Drills() {
		if !d.Control() && !d.Unruled && !known[d.Alert] {
			t.Errorf("%s: there is no alert %s", d.Name, d.Alert)
		}
		for alert := range d.Also {
			if !known[alert] {
				t.Errorf("%s: there is no alert %s that could fire too", d.Name, alert)
			}
		}
	}
	for alert := range aboutMachine() {
		if !known[alert] {
			t.Errorf("there is no alert %s about the machine", alert)
		}
	}
}
