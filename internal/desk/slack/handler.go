package slack

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/sockscope/sockscope/internal/desk/inbox"
)

// maxBody is what the desk reads of a message. Slack names no limit; its limits on parts keep every real message far
// below.
const maxBody = 512_000

// The three parts of an incoming webhook's path.
var (
	team  = regexp.MustCompile(`^T[A-Z0-9]{1,20}$`)
	hook  = regexp.MustCompile(`^B[A-Z0-9]{1,20}$`)
	token = regexp.MustCompile(`^[A-Za-z0-9]{1,64}$`)
)

// Handler takes messages for the inbox, as POST /services/T…/B…/… does at hooks.slack.com. The path's parts are the
// wildcards team, hook and token.
func Handler(in *inbox.Inbox) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, status, word := receive(w, r)
		in.Add(n)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		// An error here is the sender's loss of connection: there is nobody to tell.
		_, _ = io.WriteString(w, word)
	})
}

// receive checks one request and returns what to keep of it and to answer.
func receive(w http.ResponseWriter, r *http.Request) (n inbox.Notification, status int, word string) {
	body, err := payload(w, r)
	n = inbox.Notification{Body: inbox.Readable(body)}
	if err == nil {
		n, err = check(body)
	}
	n.Source, n.Receiver = inbox.Slack, receiver(r)
	if status, word = addressee(r); word != "" {
		n.Reason = word + ": a webhook's path is /services/T…/B…/… of capitals and digits"
		return n, status, word
	}
	if err != nil {
		n.Reason = err.Error()
		var f *fault
		if errors.As(err, &f) {
			return n, http.StatusBadRequest, f.word
		}
		return n, http.StatusBadRequest, "invalid_payload"
	}
	n.Accepted = true
	return n, http.StatusOK, "ok"
}

// addressee answers a webhook that can't exist as Slack does.
func addressee(r *http.Request) (status int, word string) {
	switch {
	case !team.MatchString(r.PathValue("team")):
		return http.StatusNotFound, "no_team"
	case !hook.MatchString(r.PathValue("hook")):
		return http.StatusNotFound, "no_service"
	case !token.MatchString(r.PathValue("token")):
		return http.StatusForbidden, "invalid_token"
	}
	return 0, ""
}

// receiver tells webhooks apart without keeping the token, which is a secret.
func receiver(r *http.Request) string {
	sum := sha256.Sum256([]byte(r.PathValue("token")))
	return r.PathValue("team") + "/" + r.PathValue("hook") + " " + hex.EncodeToString(sum[:2])
}

// payload returns the JSON of a request, which may stand in a form's field.
func payload(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := inbox.ReadBody(w, r, maxBody)
	if err != nil {
		return body, err
	}
	switch inbox.ContentType(r) {
	case "application/json":
		return body, nil
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil || form.Get("payload") == "" {
			return body, invalid("the form has no field payload")
		}
		return []byte(form.Get("payload")), nil
	}
	return body, invalid("Content-Type must be application/json")
}

// check turns a message into a notification, as far as it can be understood.
func check(body []byte) (inbox.Notification, error) {
	m, object, err := parse(body)
	n := inbox.Notification{Event: inbox.Message, Summary: m.Text, Warnings: append(inbox.MissingValues(object), m.warnings()...), Body: inbox.Readable(body)}
	if len(m.Attachments) > 0 {
		m.Attachments[0].describe(&n)
	}
	for _, a := range m.Attachments {
		n.Links = append(n.Links, a.links()...)
	}
	if m.Channel != "" && n.Key != "" {
		n.Key = m.Channel + " " + n.Key
	}
	return n, err
}

// describe reads the state of an alert from a message. Slack has no field for it: the title's first word says it,
// "[FIRING:2]" or "CRITICAL:" and "[RESOLVED]" or "RESOLVED:". The rest of the title, which is the same in both, is the
// key, unless the template sets a callback id.
func (a attachment) describe(n *inbox.Notification) {
	title := firstOf(a.Title, a.Fallback)
	status, rest := splitStatus(title)
	n.Event = eventOf(status)
	n.Summary = firstOf(rest, n.Summary, a.Pretext, a.Text)
	if n.Event == inbox.Message {
		return
	}
	n.Key = firstOf(a.CallbackID, alertCount.ReplaceAllString(rest, ""))
	n.Alert = firstOf(inbox.AlertInTitle(title), a.runbook())
	if subject, ok := inbox.ParseSubject(a.CallbackID); ok {
		n.Alert = subject.Alert
		if n.Event == inbox.Resolve {
			n.Resolved = []inbox.Subject{subject}
		} else {
			n.Firing = []inbox.Subject{subject}
		}
	}
	if status = strings.ToLower(status); status != "resolved" && status != "firing" {
		n.Severity = status
	}
	for _, f := range a.Fields {
		switch strings.ToLower(strings.Trim(f.Title, ": ")) {
		case "severity":
			n.Severity = strings.ToLower(f.Value)
		case "alert", "alertname":
			n.Alert = f.Value
		}
	}
}

// alertCount is what a title says of how many alerts there are now.
var alertCount = regexp.MustCompile(` \(and [\d,]+ more\)$`)

// bracketed and spoken are the two ways in which titles begin with a state.
var (
	bracketed = regexp.MustCompile(`^\[(FIRING|RESOLVED)(?::\d+)?\] *(.*)$`)
	spoken    = regexp.MustCompile(`^(FIRING|RESOLVED|CRITICAL|ERROR|WARNING|INFO): *(.*)$`)
)

// splitStatus takes the state off the beginning of a title.
func splitStatus(title string) (status, rest string) {
	for _, form := range []*regexp.Regexp{bracketed, spoken} {
		if m := form.FindStringSubmatch(title); m != nil {
			return m[1], m[2]
		}
	}
	return "", title
}

func eventOf(status string) inbox.Event {
	switch status {
	case "":
		return inbox.Message
	case "RESOLVED":
		return inbox.Resolve
	}
	return inbox.Trigger
}

// runbook names the alert after its runbook, which is one page per alert.
func (a attachment) runbook() string {
	for _, act := range a.Actions {
		if u, err := url.Parse(act.URL); err == nil && strings.Contains(u.Path, "/runbooks/") {
			if name, ok := strings.CutSuffix(path.Base(u.Path), ".md"); ok && name != "README" {
				return name
			}
		}
	}
	return ""
}

func (a attachment) links() []inbox.Link {
	var list []inbox.Link
	for _, act := range a.Actions {
		if act.URL != "" {
			list = append(list, inbox.Link{Text: act.Text, Href: act.URL})
		}
	}
	if a.TitleLink != "" {
		list = append(list, inbox.Link{Text: "Source", Href: a.TitleLink})
	}
	return list
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
