package console

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sockscope/sockscope/instrument"
)

// Findings is the answer of api/v1/findings.
type Findings struct {
	Service  string    `json:"service"`
	Instance string    `json:"instance"`
	Findings []Finding `json:"findings"` // worst first
}

// A Finding says in plain words what looks wrong, with the number that shows it.
type Finding struct {
	// Name is constant, such as "silent_connections".
	Name string `json:"name"`
	// Severity is "warning" if users notice the problem, and "info" if they may notice it soon.
	Severity string `json:"severity"`
	Text     string `json:"text"`
	// Sort and Search lead to the connections in question, if there are any.
	Sort   Sort   `json:"sort,omitempty"`
	Search string `json:"search,omitempty"`
}

const (
	severityWarning = "warning"
	severityInfo    = "info"
)

// The thresholds of findings. A handful of connections proves nothing.
const (
	leastSilent    = 3
	leastClosed    = 20
	leastQueued    = 100
	leastRefused   = 5
	recent         = time.Minute
	sameAge        = 0.8 // of the closed connections
	fewConnections = 0.1 // of those that queue hold most
	mostOfQueue    = 0.9
	slowHandling   = 1.0 // seconds
)

// evidence holds the data from which findings are made.
type evidence struct {
	survey  survey
	samples []Sample // of the last minute
	closed  []Record // newest first
	now     time.Time
}

// findings returns what looks wrong, worst first.
func (e *evidence) findings() []Finding {
	found := []Finding{}
	for _, find := range []func() *Finding{
		e.refused, e.dropped, e.behind, e.queueHeldByFew, e.broken, e.reconnects, e.oneAge, e.silent, e.unanswered, e.slow, e.nearLimit,
	} {
		if f := find(); f != nil {
			found = append(found, *f)
		}
	}
	slices.SortStableFunc(found, func(a, b Finding) int { return strings.Compare(b.Severity, a.Severity) }) // "warning" first
	return found
}

// sum adds up the endpoints' counts over the last minute.
func (e *evidence) sum(rates func(Endpoint) map[string]float64) map[string]float64 {
	total := make(map[string]float64)
	for _, s := range e.samples {
		for _, endpoint := range s.Endpoints {
			for label, rate := range rates(endpoint) {
				total[label] += rate * s.Seconds
			}
		}
	}
	return total
}

func (e *evidence) count(rate func(Endpoint) float64) float64 {
	return e.sum(func(p Endpoint) map[string]float64 { return map[string]float64{"": rate(p)} })[""]
}

func (e *evidence) refused() *Finding {
	refused := e.sum(func(p Endpoint) map[string]float64 { return p.Refused })
	total := 0.0
	for _, n := range refused {
		total += n
	}
	opened := e.count(func(p Endpoint) float64 { return p.Opened })
	share := total / (total + opened)
	if total < leastRefused || share < 0.05 {
		return nil
	}
	most := sorted(refused)[0]
	return &Finding{
		Name: "handshakes_refused", Severity: severityWarning,
		Text: fmt.Sprintf("%s of %.0f handshakes in the last minute were refused, most of them as %s: %s",
			percent(share), total+opened, most, refusal(most)),
	}
}

func refusal(status string) string {
	switch status {
	case "unauthorized":
		return "were keys rotated, or is the identity provider down?"
	case "forbidden":
		return "is an origin missing from the list?"
	case "over_capacity":
		return "the connection limit is reached."
	case "rate_limited":
		return "clients reconnect too often."
	case "draining":
		return "a load balancer still sends clients here while this instance shuts down."
	case "bad_handshake":
		return "does a proxy drop the Upgrade header?"
	default:
		return "the failure is on this side."
	}
}

func (e *evidence) dropped() *Finding {
	dropped := e.sum(func(p Endpoint) map[string]float64 { return p.Dropped })
	delete(dropped, instrument.DropClosed.String())     // their readers have gone
	delete(dropped, instrument.DropSuperseded.String()) // their readers get the newer one
	total := 0.0
	for _, n := range dropped {
		total += n
	}
	if total < 1 {
		return nil
	}
	return &Finding{
		Name: "messages_dropped", Severity: severityWarning, Sort: SortBehind,
		Text: fmt.Sprintf("%.0f messages were dropped in the last minute instead of being sent, most of them as %s.",
			total, sorted(dropped)[0]),
	}
}

func (e *evidence) behind() *Finding {
	s := e.survey
	if s.behind == 0 {
		return nil
	}
	return &Finding{
		Name: "connections_behind", Severity: severityWarning, Sort: SortBehind,
		Text: fmt.Sprintf("%s behind: the oldest message that waits to be sent is %s old, on connection %s.",
			are(s.behind, "connection"), seconds(s.oldest.Seconds()), s.oldestID),
	}
}

func (e *evidence) queueHeldByFew() *Finding {
	s := e.survey
	if s.queued < leastQueued || s.open < 2*slowestWatched {
		return nil
	}
	held := 0
	for i, n := range s.longest {
		held += n
		if share := float64(held) / float64(s.queued); share >= mostOfQueue && float64(i+1) <= fewConnections*float64(s.open) {
			return &Finding{
				Name: "queue_held_by_few", Severity: severityInfo, Sort: SortBehind,
				Text: fmt.Sprintf("%d of %d connections hold %s of the %d messages that wait: these peers are slow, the service is not.",
					i+1, s.open, percent(share), s.queued),
			}
		}
	}
	return nil
}

func (e *evidence) broken() *Finding {
	broken := e.count(func(p Endpoint) float64 { return p.Broken })
	closed := e.sum(func(p Endpoint) map[string]float64 { return p.Closed })
	total := 0.0
	for _, n := range closed {
		total += n
	}
	for _, r := range []instrument.CloseReason{
		instrument.ReasonOther, instrument.ReasonNormal, instrument.ReasonGoingAway, instrument.ReasonRestart,
		instrument.ReasonIdleTimeout, instrument.ReasonTokenExpired, instrument.ReasonShutdown,
	} { // none of them is a failure
		delete(closed, r.String())
	}
	if total < leastClosed || broken/total < 0.2 || len(closed) == 0 {
		return nil
	}
	return &Finding{
		Name: "connections_broken", Severity: severityWarning,
		Text: fmt.Sprintf("%s of the %.0f connections that ended in the last minute broke, most often with the reason %s.",
			percent(broken/total), total, sorted(closed)[0]),
	}
}

// oneAge finds an idle timeout of a proxy in between: connections that nobody meant to close end at the same age. If
// they also ended at the same time, they only began at the same time, and what ended them all at once is not their age.
func (e *evidence) oneAge() *Finding {
	type end struct {
		age float64
		at  time.Time
	}
	var ends []end
	for i := range e.closed {
		reason, _ := e.closed[i].Attributes["reason"].(string)
		if age, ok := e.closed[i].number("duration_seconds"); ok && age >= 5 && reason != "shutdown" && reason != "restart" && reason != "token_expired" {
			ends = append(ends, end{age, e.closed[i].Time})
		}
	}
	if len(ends) < leastClosed {
		return nil
	}
	slices.SortFunc(ends, func(a, b end) int { return cmp.Compare(a.age, b.age) })
	// The narrowest range that contains that share of all ages.
	n := int(math.Ceil(sameAge * float64(len(ends))))
	most := ends[:n]
	for i := range len(ends) - n + 1 {
		if ends[i+n-1].age-ends[i].age < most[n-1].age-most[0].age {
			most = ends[i : i+n]
		}
	}
	low, high := most[0].age, most[n-1].age
	same := max(0.05*high, 1)
	if high-low > same {
		return nil
	}
	byTime := func(a, b end) int { return a.at.Compare(b.at) }
	if slices.MaxFunc(most, byTime).at.Sub(slices.MinFunc(most, byTime).at).Seconds() <= same {
		return nil
	}
	return &Finding{
		Name: "closed_at_one_age", Severity: severityWarning,
		Text: fmt.Sprintf("%s of the last %d connections that closed were %s old: is there an idle timeout in between, such as a load balancer's?",
			percent(float64(n)/float64(len(ends))), len(ends), seconds((low+high)/2)),
	}
}

func (e *evidence) silent() *Finding {
	if e.survey.silent < leastSilent {
		return nil
	}
	return &Finding{
		Name: "silent_connections", Severity: severityInfo, Sort: SortSilent,
		Text: fmt.Sprintf("%s been silent for 5 minutes while pings succeed: the producer may have stalled.",
			have(e.survey.silent, "connection")),
	}
}

func (e *evidence) unanswered() *Finding {
	if e.survey.unanswered == 0 {
		return nil
	}
	return &Finding{
		Name: "pings_unanswered", Severity: severityInfo, Sort: SortRTT,
		Text: fmt.Sprintf("%s not answered a ping for 10 seconds: the peers are gone or their network is.",
			have(e.survey.unanswered, "connection")),
	}
}

func (e *evidence) slow() *Finding {
	slow, seen := 0, 0
	worst := 0.0
	for _, s := range e.samples {
		for _, p := range s.Endpoints {
			if p.Handling == nil {
				continue
			}
			seen++
			if p.Handling.P95 >= slowHandling {
				slow++
				worst = max(worst, p.Handling.P95)
			}
		}
	}
	if slow < 3 || float64(slow) < 0.2*float64(seen) {
		return nil
	}
	return &Finding{
		Name: "slow_handling", Severity: severityWarning,
		Text: fmt.Sprintf("Handling a message takes up to %s (p95) in %d of the last %d seconds with messages.", seconds(worst), slow, seen),
	}
}

func (e *evidence) nearLimit() *Finding {
	if len(e.samples) == 0 {
		return nil
	}
	for _, p := range e.samples[len(e.samples)-1].Endpoints {
		if p.Limit > 0 && float64(p.Open) >= 0.85*float64(p.Limit) {
			return &Finding{
				Name: "near_connection_limit", Severity: severityInfo,
				Text: fmt.Sprintf("%d of %d connections of %s are in use: new ones will be refused soon.", p.Open, p.Limit, p.Namespace),
			}
		}
	}
	return nil
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

// seconds formats a time for people.
func seconds(s float64) string {
	switch {
	case s < 1:
		return fmt.Sprintf("%.0f ms", 1000*s)
	case s < 120:
		return fmt.Sprintf("%.3g s", s)
	case s < 2*3600:
		return fmt.Sprintf("%.0f minutes", s/60)
	default:
		return fmt.Sprintf("%.0f hours", s/3600)
	}
}

func are(n int, noun string) string  { return plural(n, noun, "is", "are") }
func have(n int, noun string) string { return plural(n, noun, "has", "have") }

func plural(n int, noun, one, many string) string {
	if n == 1 {
		return "1 " + noun + " " + one
	}
	return fmt.Sprintf("%d %ss %s", n, noun, many)
}
