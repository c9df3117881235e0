// Package webhook takes Alertmanager's generic webhook, version 4, and checks that it says what its documentation
// promises.
package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sockscope/sockscope/internal/desk/inbox"
)

// maxBody leaves room for groups of thousands of alerts: nothing cuts a webhook unless max_alerts is set.
const maxBody = 4 << 20

// name is what a webhook may be called.
var name = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// message is the body of a webhook.
type message struct {
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	TruncatedAlerts   uint64            `json:"truncatedAlerts"`
	Status            string            `json:"status"`
	Receiver          string            `json:"receiver"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
	Alerts            []alert           `json:"alerts"`
}

type alert struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"`
}

// Handler takes notifications for the inbox at a path with the wildcard name.
func Handler(in *inbox.Inbox) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		receiver := r.PathValue("name")
		if !name.MatchString(receiver) {
			http.Error(w, "a webhook's name is made of a-z, 0-9, - and _", http.StatusNotFound)
			return
		}
		body, err := inbox.ReadBody(w, r, maxBody)
		n := inbox.Notification{}
		if err == nil && inbox.ContentType(r) != "application/json" {
			err = errors.New("Content-Type must be application/json")
		}
		if err == nil {
			n, err = check(body)
		}
		n.Source, n.Receiver, n.Body = inbox.Webhook, receiver, inbox.Readable(body)
		if err != nil {
			n.Reason = err.Error()
			in.Add(n)
			http.Error(w, n.Reason, http.StatusBadRequest)
			return
		}
		n.Accepted = true
		in.Add(n)
	})
}

// check turns a body into a notification, as far as it can be understood.
func check(body []byte) (inbox.Notification, error) {
	m, object, err := parse(body)
	n := inbox.Notification{Key: m.GroupKey, Warnings: inbox.MissingValues(object)}
	switch m.Status {
	case "firing":
		n.Event = inbox.Trigger
	case "resolved":
		n.Event = inbox.Resolve
	}
	for _, a := range m.Alerts {
		list := &n.Firing
		if a.Status == "resolved" {
			list = &n.Resolved
		}
		if s := inbox.SubjectOf(a.Labels); s.Alert != "" && len(*list) < inbox.MaxNamed && !slices.Contains(*list, s) {
			*list = append(*list, s)
		}
	}
	n.Alert = m.CommonLabels["alertname"]
	n.Severity = m.CommonLabels["severity"]
	n.Summary = m.annotation("summary")
	for _, l := range []inbox.Link{
		{Text: "Runbook", Href: m.annotation("runbook_url")},
		{Text: "Dashboard", Href: m.annotation("dashboard_url")},
		{Text: "Source", Href: m.ExternalURL},
	} {
		if l.Href != "" {
			n.Links = append(n.Links, l)
		}
	}
	if m.TruncatedAlerts > 0 {
		n.Warnings = append(n.Warnings, fmt.Sprintf("%d alerts were cut off by max_alerts", m.TruncatedAlerts))
	}
	return n, err
}

// annotation is that of all alerts, or of the first one where they differ.
func (m message) annotation(name string) string {
	if text := m.CommonAnnotations[name]; text != "" || len(m.Alerts) == 0 {
		return text
	}
	return m.Alerts[0].Annotations[name]
}

// parse reads and checks a body. Names that are not known are let through: Alertmanager adds members without a new
// version.
func parse(body []byte) (message, any, error) {
	var m message
	var object any
	if !utf8.Valid(body) {
		return m, nil, errors.New("the body is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&m); err != nil {
		return m, nil, fmt.Errorf("the body is not a webhook's JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return m, nil, errors.New("something follows the JSON object in the body")
	}
	if err := json.Unmarshal(body, &object); err != nil {
		return m, nil, fmt.Errorf("the body is not JSON: %w", err)
	}
	return m, object, m.check()
}

func (m message) check() error {
	var errs []error
	expect := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	expect(m.Version == "4", "version is %q, 4 is understood", m.Version)
	expect(m.GroupKey != "", "groupKey is missing")
	expect(m.Receiver != "", "receiver is missing")
	expect(isStatus(m.Status), "status is %q, must be firing or resolved", m.Status)
	expect(len(m.Alerts) > 0, "alerts is empty")
	firing := 0
	for i, a := range m.Alerts {
		expect(isStatus(a.Status), "alerts[%d].status is %q, must be firing or resolved", i, a.Status)
		expect(len(a.Labels) > 0, "alerts[%d].labels is empty", i)
		expect(!a.StartsAt.IsZero(), "alerts[%d].startsAt is missing", i)
		if a.Status == "firing" {
			firing++
		}
		if len(errs) > 10 {
			break
		}
	}
	if m.TruncatedAlerts == 0 && len(errs) == 0 {
		expect((m.Status == "firing") == (firing > 0), "status is %q, but %d of %d alerts are firing", m.Status, firing, len(m.Alerts))
	}
	return joinShort(errs)
}

func isStatus(s string) bool { return s == "firing" || s == "resolved" }

// joinShort joins errors on one line, unlike errors.Join.
func joinShort(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	words := make([]string, len(errs))
	for i, err := range errs {
		words[i] = err.Error()
	}
	return errors.New(strings.Join(words, "; "))
}
