package check

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// watchdogAge is how old the newest Watchdog may be: some repetitions of an
// alert that is sent again every minute.
const watchdogAge = 5 * time.Minute

// notification is what the desk tells of one that Alertmanager sent.
type notification struct {
	Source   string    `json:"source"`
	Received time.Time `json:"received"`
	Accepted bool      `json:"accepted"`
	Event    string    `json:"event"`
	Reason   string    `json:"reason"`
	Alert    string    `json:"alert"`
}

// tryAlerts holds when the alert that always fires has lately reached the
// inbox: then the way from a rule to a person is open.
func (r *run) tryAlerts(ctx context.Context) (string, error) {
	var answer struct {
		Notifications []notification `json:"notifications"`
	}
	e, err := r.get(ctx, r.inbox, "/api/inbox", nil, &answer)
	if err != nil {
		return "", err
	}
	missing := e.lacks("the alert Watchdog has not reached the inbox")
	for _, n := range answer.Notifications { // newest first
		if n.Alert != "Watchdog" {
			continue
		}
		age := time.Since(n.Received).Round(time.Second)
		switch {
		case !n.Accepted:
			missing = e.lacks("the inbox rejected the alert Watchdog: %s", excerpt([]byte(n.Reason)))
		case strings.HasPrefix(n.Event, "resolve"):
			missing = e.lacks("the alert Watchdog was resolved %v ago; it should always fire", age)
		case age > watchdogAge:
			missing = e.lacks("the newest Watchdog in the inbox is %v old; it should come every minute", age)
		default:
			return fmt.Sprintf("Watchdog reached the inbox by %s %v ago", n.Source, max(age, 0)), nil
		}
		break
	}
	return "", missing
}
