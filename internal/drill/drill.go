package drill

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sockscope/sockscope/internal/desk/inbox"
	"github.com/sockscope/sockscope/internal/load"
)

// Drill is one fault and what has to come of it, or a control: something that is no fault, of which nothing may come.
//
// All times are those of rules and routes as they are shipped. For a stack whose rules are faster they are divided by
// the same factor, except Takes.
type Drill struct {
	Name  string // as people give it on the command line
	About string // what goes wrong, as a sentence

	Faults []Fault      // what is done, in this order; undone in the opposite one
	Load   []load.Group // connections besides those that are always there
	// Cluster has the drill be about a service of three nodes beside the demo of the stack.
	Cluster bool

	// History is how long the stack has to have been watched before the fault, for rules that compare with the past;
	// two minutes by default.
	History time.Duration

	// Metric is a PromQL expression that has no result while all is well, and one once the fault can be seen.
	Metric string

	Alert  string        // the alert that has to notify somebody; empty for a control
	Within time.Duration // from the fault to the notification
	Takes  time.Duration // what passes of Within until the service itself has noticed, which no rule can hasten
	// Unruled says that no rule raises the alert: it is the desk's, about the heartbeat that stays away.
	Unruled bool

	// Also are alerts that may fire too, each with the reason why that is right.
	Also map[string]string

	// These have to lead to the cause. Empty ones are not checked.
	Panel string // title of a panel, all queries of which have to return data
	Trace *Trace
	Log   *Log

	// Lasts is how long a control is watched.
	Lasts time.Duration
	// Fastest is the highest speed at which the drill means something. Beyond it, what the service itself takes, such
	// as for a drain, looks to the rules like an outage. Default: any.
	Fastest int
}

// Control reports whether nothing may fire.
func (d Drill) Control() bool { return d.Alert == "" }

// Trace says what a trace has to show that is found by what was stored during the fault.
type Trace struct {
	// Exemplars is the histogram whose exemplars name traces; those of the highest values are looked at. If it is
	// empty, the trace is that of a log record that the drill's Log finds.
	Exemplars string
	Span      string            // how the span's name begins
	Has       map[string]string // attributes with their values; an empty value stands for any
	Longer    time.Duration     // how long it has to have taken
}

// Log says which record has to have been stored since the fault.
type Log struct {
	Message string
	Has     map[string]string // fields with their values; an empty value stands for any
}

// demoService is what the demo of the stack is called in telemetry.
const demoService = "sockscope-demo"

// service is what is drilled.
func (d Drill) service() string {
	if d.Cluster {
		return clusterService
	}
	return demoService
}

// watchdog is the alert that always fires.
const watchdog = inbox.HeartbeatAlert

// defaultHistory lets what a former drill has left behind fade from most rates.
const defaultHistory = 2 * time.Minute

// atSpeed returns a true time as it is where rules are faster by that factor.
func atSpeed(d time.Duration, speed int) time.Duration { return d / time.Duration(max(1, speed)) }

// slack is what scrapes, requests and a busy machine take that is not made faster with the rules.
const slack = 10 * time.Second

// limit is the time within which somebody has to be notified.
func (d Drill) limit(speed int) time.Duration {
	if speed <= 1 {
		return d.Within
	}
	return d.Takes + atSpeed(d.Within-d.Takes, speed) + slack
}

// aboutMachine are alerts that are about the machine that all of it runs on, with the reason why they say nothing of a
// drill.
func aboutMachine() map[string]string {
	const busy = "the machine that all of it runs on is busy"
	return map[string]string{"HostCPUSaturated": busy, "HostMemoryLow": busy, "PrometheusRulesFailing": busy}
}

func (d Drill) history() time.Duration {
	if d.History == 0 {
		return defaultHistory
	}
	return d.History
}

// Find returns the drills of those names, in their order.
func Find(all []Drill, names ...string) ([]Drill, error) {
	found := make([]Drill, 0, len(names))
	for _, name := range names {
		i := slices.IndexFunc(all, func(d Drill) bool { return d.Name == name })
		if i < 0 {
			known := make([]string, 0, len(all))
			for _, d := range all {
				known = append(known, d.Name)
			}
			return nil, fmt.Errorf("there is no drill %q: there are %s", name, strings.Join(known, ", "))
		}
		found = append(found, all[i])
	}
	return found, nil
}
