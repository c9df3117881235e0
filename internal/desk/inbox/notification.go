// Package inbox keeps what alert receivers were sent and tells which alerts are open.
//
// It keeps one list of notifications, oldest first, bounded in number and bytes. Everything else (groups, heartbeats,
// what is open) is derived from that list, so that a restart needs nothing but the list.
package inbox

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Source tells by which protocol a notification came.
type Source string

// The protocols that the desk takes, and the desk itself.
const (
	PagerDuty Source = "pagerduty"
	Slack     Source = "slack"
	Webhook   Source = "webhook"
	Desk      Source = "desk" // what it notices by itself
)

// Event is what a notification says about its alert.
type Event string

// The events of PagerDuty's vocabulary, used for every source, and Message for a text that says nothing about the state
// of an alert.
const (
	Trigger     Event = "trigger"
	Acknowledge Event = "acknowledge"
	Resolve     Event = "resolve"
	Message     Event = "message"
)

// Outcome is what a notification did to the alert that it names.
type Outcome string

// Dropped is the outcome of a resolve or acknowledge for which no open alert is known under the same key and receiver:
// PagerDuty accepts and then ignores it.
const (
	Opened       Outcome = "opened"
	Repeated     Outcome = "repeated"
	Acknowledged Outcome = "acknowledged"
	Resolved     Outcome = "resolved"
	Dropped      Outcome = "dropped"
	Shown        Outcome = "shown"
)

// Link is a link or button of a notification.
type Link struct {
	Text string `json:"text"`
	Href string `json:"href"`
}

// Subject names an alert in the same way in every protocol.
type Subject struct {
	Alert string `json:"alert"`
	Of    string `json:"of"` // the service, and its endpoint if the alert names one
}

// subject matches the words in which the templates of deploy/alertmanager name an alert.
var subject = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*) of (\S.*)$`)

// ParseSubject reads a subject from "Alert of service/endpoint". It returns false for any other text.
func ParseSubject(text string) (Subject, bool) {
	found := subject.FindStringSubmatch(text)
	if found == nil {
		return Subject{}, false
	}
	return Subject{Alert: found[1], Of: found[2]}, true
}

// SubjectOf returns the subject of an alert with these labels.
func SubjectOf(labels map[string]string) Subject {
	s := Subject{Alert: labels["alertname"], Of: cmp.Or(labels["job"], labels["service"], "unknown")}
	if endpoint := cmp.Or(labels["namespace"], labels["target"]); endpoint != "" {
		s.Of += "/" + endpoint
	}
	return s
}

// Notification is one request that a receiver took or refused.
type Notification struct {
	ID       string    `json:"id"`
	Source   Source    `json:"source"`
	Receiver string    `json:"receiver,omitempty"` // webhook name, Slack hook or digest of the routing key
	Received time.Time `json:"received"`
	Accepted bool      `json:"accepted"`
	Reason   string    `json:"reason,omitempty"` // why it was rejected
	Event    Event     `json:"event,omitempty"`
	Outcome  Outcome   `json:"outcome,omitempty"`
	Alert    string    `json:"alert,omitempty"`
	Severity string    `json:"severity,omitempty"`
	Key      string    `json:"key,omitempty"`
	Summary  string    `json:"summary,omitempty"`
	Firing   []Subject `json:"firing,omitempty"`   // alerts that it says are firing, as far as it names them
	Resolved []Subject `json:"resolved,omitempty"` // and those that it says are over
	Links    []Link    `json:"links,omitempty"`
	Warnings []string  `json:"warnings,omitempty"` // accepted, but somebody should look
	Since    time.Time `json:"since,omitzero"`     // when the alert that it belongs to opened
	Count    int       `json:"count,omitempty"`    // how many notifications that alert has had
	Body     string    `json:"body,omitempty"`     // what came, secrets masked, cut to MaxBody
}

// Limits on what one notification may hold. Senders are bounded by their protocol; these bound what is kept of it.
const (
	MaxBody  = 16 << 10
	maxText  = 2 << 10
	maxLinks = 20
	maxWarn  = 10
	MaxNamed = 20 // alerts that fire, and as many that are over
)

// groupID names the alert that a notification is about. Two receivers never share an alert, since PagerDuty correlates
// within one routing key only.
func (n *Notification) groupID() string {
	return string(n.Source) + "\x00" + n.Receiver + "\x00" + n.Key
}

// clamp cuts every field to its limit.
func (n *Notification) clamp() {
	for _, s := range []*string{&n.Receiver, &n.Reason, &n.Alert, &n.Severity, &n.Key, &n.Summary} {
		*s = cut(*s, maxText)
	}
	n.Body = cut(n.Body, MaxBody)
	for _, list := range []*[]Subject{&n.Firing, &n.Resolved} {
		*list = (*list)[:min(len(*list), MaxNamed)]
		for i, s := range *list {
			(*list)[i] = Subject{Alert: cut(s.Alert, maxText), Of: cut(s.Of, maxText)}
		}
	}
	n.Links = n.Links[:min(len(n.Links), maxLinks)]
	for i := range n.Links {
		n.Links[i] = Link{Text: cut(n.Links[i].Text, maxText), Href: cut(n.Links[i].Href, maxText)}
	}
	n.Warnings = n.Warnings[:min(len(n.Warnings), maxWarn)]
}

// size is about what a notification takes in memory and on disk.
func (n *Notification) size() int {
	size := 300 + len(n.Receiver) + len(n.Reason) + len(n.Alert) + len(n.Key) + len(n.Summary) + len(n.Body)
	for _, l := range n.Links {
		size += len(l.Text) + len(l.Href) + 30
	}
	for _, w := range n.Warnings {
		size += len(w)
	}
	for _, s := range slices.Concat(n.Firing, n.Resolved) {
		size += len(s.Alert) + len(s.Of) + 30
	}
	return size
}

// cut shortens s to at most limit bytes of valid UTF-8 and shows that it did.
func cut(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit-len("…")], "") + "…"
}
