package drill

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Recording is what was seen of one run of a drill.
type Recording struct {
	Since    time.Time // when the watch began, before the fault
	Injected time.Time
	Visible  time.Time // when the metric showed the fault; zero if it never did
	Healed   time.Time
	Left     bool      // when the fault was healed
	Until    time.Time // the newest evaluation of rules that was seen

	Samples []Sample // of ALERTS, in the order of time
	Notices []Notice // what receivers were sent since the fault, in the order of time
	Mutes   []string // alerts that kept Alertmanager from notifying about the drill's
}

// Sample says that an alert was pending or firing when its rule was evaluated.
type Sample struct {
	At       time.Time
	Alert    string
	Severity string
	Firing   bool
}

// Notice is a notification that somebody got.
type Notice struct {
	At       time.Time
	Alert    string
	Channel  string // pagerduty, slack, webhook or desk
	Incident string // what the channel takes together
	Resolved bool
	Rejected string // why the channel refused it; empty where it was taken
}

// Link is a link of the chain from a fault to a person and back.
type Link string

// The links, in their order. Times are counted from the fault; those of the last two from when it was healed.
const (
	Visible  Link = "metric"   // the metric shows the fault
	Pending  Link = "pending"  // the rule holds
	Firing   Link = "firing"   // it has held for long enough
	Notified Link = "notified" // the first receiver was sent the alert
	Resolved Link = "resolved" // the alert fires no more
	Told     Link = "told"     // the first receiver was sent that
)

// Links are all links.
func Links() []Link { return []Link{Visible, Pending, Firing, Notified, Resolved, Told} }

// Other is another alert that fired during a drill.
type Other struct {
	Alert   string  `json:"alert"`
	Seconds float64 `json:"seconds"`         // after the fault
	Why     string  `json:"why,omitempty"`   // why that is right; empty for a false alarm
	Before  bool    `json:"before,omitzero"` // it fired before the fault already
}

// Page is a call to the person on call.
type Page struct {
	Alert   string  `json:"alert"`
	Seconds float64 `json:"seconds"` // after the fault
}

// Result is what came of one run of a drill.
type Result struct {
	Drill string    `json:"drill"`
	Speed int       `json:"speed"`
	Began time.Time `json:"began"`
	Left  bool      `json:"left,omitzero"` // when the fault was healed, without waiting for the alert to end

	Seconds  map[Link]float64   `json:"seconds"`            // of the links that held
	Channels map[string]float64 `json:"channels,omitempty"` // seconds from the fault to the notification
	Page     *Page              `json:"page,omitempty"`     // the first after the fault, of whatever alert
	Pages    int                `json:"pages"`              // incidents for the person on call; one cause should be one
	Muted    []string           `json:"muted,omitempty"`    // alerts that had the notification held back
	Others   []Other            `json:"others,omitempty"`
	Evidence []Finding          `json:"evidence,omitempty"`
	Failures []string           `json:"failures,omitempty"` // empty if the drill went as it has to
}

// OK reports whether all went as it has to.
func (r Result) OK() bool { return len(r.Failures) == 0 }

// judge works out what came of a run.
func judge(d Drill, speed int, rec Recording, evidence []Finding) Result {
	r := Result{Drill: d.Name, Speed: speed, Began: rec.Injected, Left: rec.Left, Seconds: map[Link]float64{}, Evidence: evidence}
	r.Others = others(d, rec)
	if d.Control() {
		r.Failures = falseAlarms(r.Others)
		return r
	}
	first, last, severity := rec.spans(d.Alert)
	note := func(l Link, at, since time.Time) {
		if !at.IsZero() {
			r.Seconds[l] = max(0, at.Sub(since).Seconds())
		}
	}
	note(Visible, rec.Visible, rec.Injected)
	note(Pending, first.pending, rec.Injected)
	note(Firing, first.firing, rec.Injected)
	r.Page, r.Pages = rec.pages()
	r.Channels = rec.channels(d.Alert)
	if len(r.Channels) > 0 {
		r.Seconds[Notified] = slices.Min(slices.Collect(maps.Values(r.Channels)))
	} else {
		r.Muted = rec.Mutes
	}
	if over := rec.resolved(d.Alert, last); !rec.Healed.IsZero() && !over.IsZero() {
		note(Resolved, over, rec.Healed)
	}
	if told := rec.told(d.Alert, r.Channels); !rec.Healed.IsZero() && !told.IsZero() {
		note(Told, told, rec.Healed)
	}
	if broken := r.broken(d, severity); broken != "" {
		r.Failures = append(r.Failures, broken)
	}
	if r.Pages > 1 {
		r.Failures = append(r.Failures, fmt.Sprintf("whoever is on call was paged by %d incidents for one cause", r.Pages))
	}
	r.Failures = append(r.Failures, rec.rejections()...)
	for _, f := range evidence {
		if !f.OK {
			r.Failures = append(r.Failures, f.What+": "+f.Detail)
		}
	}
	r.Failures = append(r.Failures, falseAlarms(r.Others)...)
	return r
}

// moment is when an alert was first pending and first firing.
type moment struct{ pending, firing time.Time }

// spans returns the first and the last moment of an alert since the fault.
func (rec Recording) spans(alert string) (first moment, last time.Time, severity string) {
	for _, s := range rec.Samples {
		if s.Alert != alert || s.At.Before(rec.Injected) {
			continue
		}
		if first.pending.IsZero() {
			first.pending = s.At
		}
		if s.Firing {
			severity, last = s.Severity, s.At
			if first.firing.IsZero() {
				first.firing = s.At
			}
		}
	}
	return first, last, severity
}

// resolved returns when an alert no longer fired that fired last at that time: at the next evaluation. It returns zero
// while no evaluation has shown that.
func (rec Recording) resolved(alert string, last time.Time) time.Time {
	interval := max(rec.interval(watchdog), rec.interval(alert))
	if last.IsZero() || !rec.Until.After(last.Add(2*interval)) {
		return time.Time{}
	}
	return last.Add(interval)
}

// interval is how often the rule of an alert is evaluated: the least time between its samples.
func (rec Recording) interval(alert string) time.Duration {
	var least time.Duration
	var before time.Time
	for _, s := range rec.Samples {
		if s.Alert != alert {
			continue
		}
		if d := s.At.Sub(before); !before.IsZero() && d > 0 && (least == 0 || d < least) {
			least = d
		}
		before = s.At
	}
	return least
}

// channels returns how long after the fault each channel was sent the alert.
func (rec Recording) channels(alert string) map[string]float64 {
	found := map[string]float64{}
	for _, n := range rec.Notices {
		if n.Alert != alert || n.Resolved || n.Rejected != "" || n.At.Before(rec.Injected) {
			continue
		}
		if _, has := found[n.Channel]; !has {
			found[n.Channel] = n.At.Sub(rec.Injected).Seconds()
		}
	}
	return found
}

// pages returns the first page after the fault, nil if there was none, and how many incidents were opened.
func (rec Recording) pages() (first *Page, incidents int) {
	opened := map[string]bool{}
	for _, n := range rec.Notices {
		if n.Channel != "pagerduty" || n.Resolved || n.Rejected != "" || n.At.Before(rec.Injected) {
			continue
		}
		opened[n.Incident] = true
		if first == nil {
			first = &Page{Alert: n.Alert, Seconds: n.At.Sub(rec.Injected).Seconds()}
		}
	}
	return first, len(opened)
}

// told returns when the first of the channels was sent that the alert is over, for good.
func (rec Recording) told(alert string, channels map[string]float64) (at time.Time) {
	for channel := range channels {
		for _, n := range slices.Backward(rec.Notices) {
			if n.Alert != alert || n.Channel != channel {
				continue
			}
			if n.Resolved && n.Rejected == "" && n.At.After(rec.Healed) && (at.IsZero() || n.At.Before(at)) {
				at = n.At
			}
			break
		}
	}
	return at
}

// settled reports whether every channel was told of the end of all that it was told of, the machine apart.
func (rec Recording) settled() bool {
	type open struct{ alert, channel string }
	left := map[open]bool{}
	for _, n := range rec.Notices {
		if n.Rejected == "" && aboutMachine()[n.Alert] == "" {
			left[open{n.Alert, n.Channel}] = !n.Resolved
		}
	}
	for _, is := range left {
		if is {
			return false
		}
	}
	return true
}

func (rec Recording) rejections() (failures []string) {
	for _, n := range rec.Notices {
		if n.Rejected != "" {
			failures = append(failures, fmt.Sprintf("%s refused a notification of %s: %s", n.Channel, n.Alert, n.Rejected))
		}
	}
	return failures
}

// others returns the alerts that fired and are not the drill's, each once. One that fires before the fault is a false
// alarm, unless it is about the machine.
func others(d Drill, rec Recording) (list []Other) {
	seen := map[string]bool{watchdog: true}
	for _, s := range rec.Samples {
		before := s.At.Before(rec.Injected)
		if !s.Firing || seen[s.Alert] || (s.Alert == d.Alert && !before) {
			continue
		}
		seen[s.Alert] = true
		o := Other{Alert: s.Alert, Seconds: s.At.Sub(rec.Injected).Seconds(), Before: before, Why: aboutMachine()[s.Alert]}
		if o.Why == "" && !before {
			o.Why = d.Also[s.Alert]
		}
		list = append(list, o)
	}
	return list
}

func falseAlarms(list []Other) (failures []string) {
	for _, o := range list {
		switch {
		case o.Why != "":
		case o.Before:
			failures = append(failures, fmt.Sprintf("false alarm: %s fired before the fault", o.Alert))
		default:
			failures = append(failures, fmt.Sprintf("false alarm: %s fired after %s", o.Alert, seconds(o.Seconds)))
		}
	}
	return failures
}

// broken returns the chain up to the first link that did not hold, empty if all did. Of an alert that only dashboards
// show nobody is to be notified.
func (r Result) broken(d Drill, severity string) string {
	shown, last := severity == "info", Notified
	if shown {
		last = Firing
	}
	said := []string{"fault injected"}
	for _, link := range []struct {
		link        Link
		held, never string
	}{
		{Visible, "metric moved after %s", "metric never moved"},
		{Pending, "rule pending after %s", "rule never pending"},
		{Firing, "firing after %s", "never firing"},
		{Notified, "notified after %s", "nobody notified"},
	} {
		at, ok := r.Seconds[link.link]
		switch {
		case d.Unruled && (link.link == Pending || link.link == Firing):
			continue
		case shown && link.link == Notified && !ok:
			continue
		case shown && link.link == Notified:
			link.never = fmt.Sprintf(link.held, seconds(at)) + ", though only dashboards are to show it"
		case ok:
			said = append(said, fmt.Sprintf(link.held, seconds(at)))
			continue
		case link.link == Notified && r.mutedRightly(d):
			return ""
		case link.link == Notified && len(r.Muted) > 0:
			link.never += ", muted by " + strings.Join(r.Muted, ", ")
		case link.link == Visible && d.Metric == "":
			continue
		}
		return strings.Join(append(said, link.never), "; ")
	}
	if limit := d.limit(r.Speed).Seconds(); r.Seconds[last] > limit {
		return strings.Join(append(said, "which is later than "+seconds(limit)), "; ")
	}
	for _, channel := range channelsOf(severity) {
		if _, ok := r.Channels[channel]; !ok {
			return strings.Join(append(said, "but not by "+channel), "; ")
		}
	}
	if r.Left {
		return ""
	}
	said = append(said, "fault healed")
	if _, ok := r.Seconds[Resolved]; !ok && !d.Unruled {
		return strings.Join(append(said, "alert never resolved"), "; ")
	}
	if _, ok := r.Seconds[Told]; !ok && !shown {
		if !d.Unruled {
			said = append(said, "resolved after "+seconds(r.Seconds[Resolved]))
		}
		return strings.Join(append(said, "nobody told"), "; ")
	}
	return ""
}

// mutedRightly reports whether nobody was notified since they were notified of what the drill expects beside its alert.
func (r Result) mutedRightly(d Drill) bool {
	if len(r.Muted) == 0 {
		return false
	}
	for _, alert := range r.Muted {
		if d.Also[alert] == "" {
			return false
		}
	}
	return true
}

// channelsOf are the receivers that an alert of that severity has to reach.
func channelsOf(severity string) []string {
	switch severity {
	case "critical":
		return []string{"pagerduty", "slack"}
	case "warning":
		return []string{"slack"}
	}
	return nil
}

// seconds writes a number of seconds for people.
func seconds(s float64) string {
	switch {
	case s < 10:
		return fmt.Sprintf("%.1f s", s)
	case s < 120:
		return fmt.Sprintf("%.0f s", s)
	}
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}
