package check

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// watchdogAge is the largest age of the newest Watchdog. The alert is sent every minute, so a few may be missing.
const watchdogAge = 5 * time.Minute

// notification describes a notification that Alertmanager sent to the desk.
type notification struct {
	Source   string    `json:"source"`
	Received time.Time `json:"received"`
	Accepted bool      `json:"accepted"`
	Event    string    `json:"event"`
	Reason   string    `json:"reason"`
	Alert    string    `json:"alert"`
}

// tryAlerts succeeds if the alert that always fires has reached the inbox lately. Then the way from a rule to a person
// is open.
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
