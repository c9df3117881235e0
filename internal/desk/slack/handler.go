package slack

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/sockscope/sockscope/internal/desk/inbox"
)

// maxBody is what the desk reads of a message. Slack names no limit; its limits
// on parts keep every real message far below.
const maxBody = 512_000

// The three parts of an incoming webhook's path.
var (
	team  = regexp.MustCompile(`^T[A-Z0-9]{1,20}$`)
	hook  = regexp.MustCompile(`^B[A-Z0-9]{1,20}$`)
	token = regexp.MustCompile(`^[A-Za-z0-9]{1,64}$`)
)

// Handler takes messages for the inbox, as POST /services/T…/B…/… does at
// hooks.slack.com. The path's parts are the wildcards team, hook and token.
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
	n := inbox.Notification{Event: inbox.Message, Summary: m.Text, Warnings: inbox.MissingValues(object), Body: inbox.Readable(body)}
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

// describe reads the state of an alert from what Alertmanager's message says.
// Slack has no notion of it: the title's "[FIRING:2]" or "[RESOLVED]" tells it,
// and what stays the same between the two, or the callback id where the template
// sets one, is the key.
func (a attachment) describe(n *inbox.Notification) {
	status, rest := splitStatus(a.Title)
	if status == "" {
		status, rest = splitStatus(a.Fallback)
	}
	switch {
	case strings.HasPrefix(status, "FIRING"):
		n.Event = inbox.Trigger
	case strings.HasPrefix(status, "RESOLVED"):
		n.Event = inbox.Resolve
	}
	if n.Summary == "" {
		n.Summary = firstOf(rest, a.Title, a.Pretext, a.Fallback, a.Text)
	}
	if n.Event == inbox.Message {
		return
	}
	n.Key = firstOf(a.CallbackID, rest)
	n.Alert = inbox.FirstWord(rest)
	for _, f := range a.Fields {
		switch strings.ToLower(strings.Trim(f.Title, ": ")) {
		case "severity":
			n.Severity = strings.ToLower(f.Value)
		case "alert", "alertname":
			n.Alert = f.Value
		}
	}
}

// splitStatus takes the bracketed word off the beginning of a title.
func splitStatus(title string) (status, rest string) {
	inside, ok := strings.CutPrefix(title, "[")
	if !ok {
		return "", title
	}
	status, rest, ok = strings.Cut(inside, "]")
	if !ok {
		return "", title
	}
	return status, strings.TrimSpace(rest)
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
