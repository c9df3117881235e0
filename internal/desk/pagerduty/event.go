// Package pagerduty takes alert events as PagerDuty's Events API v2 does, and refuses what it would refuse, so that a
// configuration that works with the desk works with PagerDuty.
//
// The rules are those of PagerDuty's public documentation, "Send an Alert Event" and "Events API v2 Overview".
package pagerduty

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"time"
	"unicode/utf8"
)

// Limits of the Events API.
const (
	maxBody     = 512_000 // "512 KB", in the reading that Alertmanager keeps to
	keyLength   = 32
	maxSummary  = 1024
	maxDedupKey = 255
)

// event is an alert event that passed every check.
type event struct {
	RoutingKey string
	Action     string
	DedupKey   string
	Summary    string
	Severity   string
	Class      string
	Details    map[string]any
	ClientURL  string
	Links      []link
}

type link struct{ Href, Text string }

// fields collects what is wrong with an event while its members are read. Every method returns the zero value for a
// member that is missing or wrong.
type fields struct {
	prefix string
	object map[string]any
	errs   *[]string
}

func (f fields) fail(name, format string, args ...any) {
	*f.errs = append(*f.errs, fmt.Sprintf("'%s%s' %s", f.prefix, name, fmt.Sprintf(format, args...)))
}

// text returns an optional string of at most limit characters; 0 is no limit.
func (f fields) text(name string, limit int) string {
	v, ok := f.object[name]
	if !ok || v == nil {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		f.fail(name, "must be a string")
	}
	if length := utf8.RuneCountInString(s); limit > 0 && length > limit {
		f.fail(name, "has %d characters, at most %d are permitted", length, limit)
	}
	return s
}

func (f fields) required(name string, limit int) string {
	before := len(*f.errs)
	s := f.text(name, limit)
	if s == "" && len(*f.errs) == before {
		f.fail(name, "is missing or blank")
	}
	return s
}

func (f fields) oneOf(name string, allowed ...string) string {
	s := f.required(name, 0)
	if s != "" && !slices.Contains(allowed, s) {
		f.fail(name, "is invalid (must be one of %v)", allowed)
	}
	return s
}

// object returns a member that must be an object if it is there.
func (f fields) member(name string) map[string]any {
	v, ok := f.object[name]
	if !ok || v == nil {
		return nil
	}
	object, ok := v.(map[string]any)
	if !ok {
		f.fail(name, "must be an object")
	}
	return object
}

// list returns the objects of a member that must be an array of them if it is there.
func (f fields) list(name string) []fields {
	v, ok := f.object[name]
	if !ok || v == nil {
		return nil
	}
	array, ok := v.([]any)
	if !ok {
		f.fail(name, "must be an array of objects")
		return nil
	}
	var list []fields
	for i, e := range array {
		object, ok := e.(map[string]any)
		if !ok {
			f.fail(fmt.Sprintf("%s[%d]", name, i), "must be an object")
			continue
		}
		list = append(list, fields{fmt.Sprintf("%s%s[%d].", f.prefix, name, i), object, f.errs})
	}
	return list
}

// parse reads an event and returns everything that is wrong with it, and the decoded body for further checks.
func parse(body []byte) (event, map[string]any, []string) {
	object, err := decode(body)
	if err != nil {
		return event{}, nil, []string{err.Error()}
	}
	var errs []string
	f := fields{"", object, &errs}
	e := event{
		RoutingKey: f.required("routing_key", 0),
		Action:     f.oneOf("event_action", "trigger", "acknowledge", "resolve"),
		DedupKey:   f.text("dedup_key", maxDedupKey),
		ClientURL:  f.text("client_url", 0),
	}
	f.text("client", 0)
	if e.RoutingKey != "" && !isKey(e.RoutingKey) {
		f.fail("routing_key", "is incorrect (must be %d letters and digits)", keyLength)
	}
	if e.DedupKey == "" && (e.Action == "acknowledge" || e.Action == "resolve") {
		f.fail("dedup_key", "is missing or blank")
	}
	e.Links = links(f)
	images(f)
	payload := f.member("payload")
	if e.Action == "trigger" || payload != nil {
		e.payload(fields{"payload.", payload, &errs}, e.Action == "trigger")
	}
	return e, object, errs
}

// payload reads what describes the problem. PagerDuty needs it for a trigger only; elsewhere no more than its types
// matter.
func (e *event) payload(f fields, trigger bool) {
	if trigger {
		e.Summary = f.required("summary", maxSummary)
		f.required("source", 0)
		e.Severity = f.oneOf("severity", "critical", "error", "warning", "info")
	} else {
		e.Summary = f.text("summary", maxSummary)
		e.Severity = f.text("severity", 0)
	}
	e.Class = f.text("class", 0)
	f.text("component", 0)
	f.text("group", 0)
	e.Details = f.member("custom_details")
	if at := f.text("timestamp", 0); at != "" && !isTimestamp(at) {
		f.fail("timestamp", "must be an ISO 8601 time")
	}
}

func links(f fields) []link {
	var all []link
	for _, l := range f.list("links") {
		all = append(all, link{Href: l.required("href", 0), Text: l.text("text", 0)})
	}
	return all
}

func images(f fields) {
	for _, image := range f.list("images") {
		image.text("href", 0)
		image.text("alt", 0)
		src := image.required("src", 0)
		if u, err := url.Parse(src); src != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
			image.fail("src", "must be an HTTPS URL")
		}
	}
}

// decode reads exactly one JSON object.
func decode(body []byte) (map[string]any, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("the body is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		return nil, fmt.Errorf("the body is not a JSON object: %w", err)
	}
	if object == nil {
		return nil, errors.New("the body is not a JSON object but null")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object in the body")
	}
	return object, nil
}

func isKey(s string) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return len(s) == keyLength
}

// isTimestamp knows RFC 3339 and the form of PagerDuty's own examples, which has no colon in the offset.
func isTimestamp(s string) bool {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05-0700", "2006-01-02T15:04:05"} {
		if _, err := time.Parse(layout, s); err == nil {
			return true
		}
	}
	return false
}
