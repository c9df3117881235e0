package pagerduty

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/sockscope/sockscope/internal/desk/inbox"
)

// answer is the body of every response.
type answer struct {
	Status   string   `json:"status"`
	Message  string   `json:"message"`
	DedupKey string   `json:"dedup_key,omitempty"`
	Errors   []string `json:"errors,omitempty"`
}

// Handler takes events for the inbox, as POST /v2/enqueue does at PagerDuty.
func Handler(in *inbox.Inbox) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := inbox.ReadBody(w, r, maxBody)
		var n inbox.Notification
		var errs []string
		switch {
		case err != nil:
			errs = []string{err.Error()}
		case inbox.ContentType(r) != "application/json":
			errs = []string{"Content-Type must be application/json"}
		default:
			n, errs = check(body)
		}
		n.Source, n.Body = inbox.PagerDuty, inbox.Readable(body)
		if len(errs) > 0 {
			n.Reason = strings.Join(errs, "; ")
			in.Add(n)
			respond(w, http.StatusBadRequest, answer{Status: "invalid event", Message: "Event object is invalid", Errors: errs})
			return
		}
		n.Accepted = true
		if n.Key == "" {
			n.Key = uuid.NewString() // as PagerDuty does: always a new alert
		}
		in.Add(n)
		respond(w, http.StatusAccepted, answer{Status: "success", Message: "Event processed", DedupKey: n.Key})
	})
}

func respond(w http.ResponseWriter, status int, a answer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An error here is the sender's loss of connection: there is nobody to tell.
	_ = json.NewEncoder(w).Encode(a)
}

// check turns a body into a notification, as far as it can be understood, and says what is wrong with it.
func check(body []byte) (inbox.Notification, []string) {
	e, object, errs := parse(body)
	n := inbox.Notification{
		Receiver: digest(e.RoutingKey),
		Event:    inbox.Event(e.Action),
		Key:      e.DedupKey,
		Alert:    alertName(e),
		Severity: e.Severity,
		Summary:  e.Summary,
		Warnings: inbox.MissingValues(object),
		Firing:   subjects(e, "firing"),
		Resolved: subjects(e, "resolved"),
	}
	if _, cut := e.Details["error"]; cut && len(e.Details) == 1 {
		n.Warnings = append(n.Warnings, "the details were too long and got lost: Alertmanager put an error in their place")
	}
	for _, l := range e.Links {
		n.Links = append(n.Links, inbox.Link{Text: l.Text, Href: l.Href})
	}
	if e.ClientURL != "" {
		n.Links = append(n.Links, inbox.Link{Text: "Source", Href: e.ClientURL})
	}
	return n, errs
}

// subjects reads the alerts in a detail that has one on each line, as the templates of deploy/alertmanager write it: "*
// Alert of service/endpoint: text".
func subjects(e event, detail string) []inbox.Subject {
	text, _ := e.Details[detail].(string)
	var list []inbox.Subject
	for line := range strings.Lines(text) {
		item, ok := strings.CutPrefix(line, "* ")
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(item, ": ")
		if s, ok := inbox.ParseSubject(name); ok && len(list) < inbox.MaxNamed && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// digest tells routing keys apart without keeping them: they are secrets.
func digest(routingKey string) string {
	if routingKey == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(routingKey))
	return "key " + hex.EncodeToString(sum[:4])
}

// alertName finds the alert's name where an Alertmanager puts it: a custom detail, or the list of labels or the summary
// that its default templates write; else the event's class is the best there is.
func alertName(e event) string {
	if name, ok := e.Details["alertname"].(string); ok && name != "" {
		return name
	}
	for _, detail := range []string{"firing", "resolved"} {
		text, _ := e.Details[detail].(string)
		if _, after, ok := strings.Cut(text, "- alertname = "); ok {
			name, _, _ := strings.Cut(after, "\n")
			return strings.TrimSpace(name)
		}
	}
	if name := inbox.AlertInTitle(e.Summary); name != "" {
		return name
	}
	return e.Class
}
