package desk

import (
	"context"
	"net/url"
	"slices"
	"time"

	"github.com/sockscope/sockscope/instrument/console"
	"github.com/sockscope/sockscope/internal/backend"
	"github.com/sockscope/sockscope/internal/top"
)

// findingsTimeout is how long the start page waits for the live consoles. One that hangs must not keep it.
const findingsTimeout = time.Second

// Limits of what the start page says of findings.
const (
	maxFindings  = 20
	maxSaid      = 6    // texts of one finding
	maxInstances = 10   // that are named beside a text
	maxText      = 1000 // bytes
)

// finding is something that looks wrong, on one instance or on several.
type finding struct {
	Name     string
	Severity string
	Lead     *lead
	Said     []said
	More     int // instances that say it with other numbers
}

// said is what instances say of a finding, with its number.
type said struct {
	Text      string
	Instances []string
	More      int // instances that say the same
}

// findings asks the live consoles what looks wrong. It has nothing from those that don't answer at once: that they
// don't is said where connections are listed.
func (d *Desk) findings(ctx context.Context) []finding {
	ctx, cancel := context.WithTimeout(ctx, findingsTimeout)
	defer cancel()
	addresses, _ := d.consoles.all()
	found, _ := top.Findings(ctx, top.Options{Consoles: addresses, Client: d.client})
	return together(found)
}

// together makes one finding of what looks wrong in the same way on several instances.
func together(found []top.FoundAt) []finding {
	var list []finding
	at := make(map[console.Finding]int) // by all but the text and the severity
	for _, f := range found {
		key := console.Finding{Name: f.Name, Sort: f.Sort, Search: f.Search}
		i, ok := at[key]
		if !ok {
			if len(list) == maxFindings {
				continue
			}
			i, at[key] = len(list), len(list)
			list = append(list, finding{Name: backend.Cut(f.Name, maxText), Severity: f.Severity, Lead: leadOf(f.Finding)})
		}
		list[i].add(backend.Cut(f.Text, maxText), backend.Cut(f.Instance, maxText))
	}
	return list
}

// add adds what an instance says.
func (f *finding) add(text, instance string) {
	i := slices.IndexFunc(f.Said, func(s said) bool { return s.Text == text })
	switch {
	case i < 0 && len(f.Said) == maxSaid:
		f.More++
	case i < 0:
		f.Said = append(f.Said, said{Text: text, Instances: []string{instance}})
	case len(f.Said[i].Instances) == maxInstances:
		f.Said[i].More++
	default:
		f.Said[i].Instances = append(f.Said[i].Instances, instance)
	}
}

// lead is a link from a finding to what it is about.
type lead struct{ Path, Words string }

// leadOf returns where a finding of a live console leads on: to the connections in question, to traces, or to log
// records that lead to traces and connections. It is nil for a finding that says all there is to say.
func leadOf(f console.Finding) *lead {
	if f.Sort != "" {
		return &lead{"/connections?" + url.Values{"sort": {string(f.Sort)}, "q": {f.Search}}.Encode(), "Show them"}
	}
	records := func(message, words string) *lead {
		return &lead{logsForm{Words: message, period: period{Range: "15m"}, Follow: true}.path(), words}
	}
	switch f.Name {
	case "slow_handling":
		return &lead{tracesForm{Shortest: "1s", period: period{Range: "15m"}}.path(), "See slow messages"}
	case "connections_broken", "reconnects", "closed_at_one_age":
		return records("connection closed", "See how they closed")
	case "handshakes_refused":
		return records("handshake refused", "See refused handshakes")
	case "near_connection_limit":
		return &lead{"/connections?sort=" + string(console.SortNewest), "Show the newest"}
	}
	return nil
}
