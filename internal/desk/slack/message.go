// Package slack takes messages as Slack's incoming webhooks do, and refuses what they would refuse with the same plain
// words, so that a configuration that works with the desk works with Slack.
//
// The rules are those of Slack's public documentation of incoming webhooks, of message attachments, of interactive
// messages and of blocks. Which error answers an action that is wrong is not written there; invalid_payload is what is
// known.
package slack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"unicode/utf8"
)

// Limits of a message.
const (
	maxAttachments = 100
	maxActions     = 5
	maxURL         = 3000 // of a button

	// Above these Slack takes the message, but shows less of it.
	manyAttachments = 20
	longText        = 40_000
	longAttachment  = 8000
)

// fault is why a message is refused: the word that Slack answers, and for the inbox what exactly is wrong.
type fault struct {
	word   string
	detail string
}

func (f *fault) Error() string { return f.word + ": " + f.detail }

func invalid(format string, args ...any) error {
	return &fault{"invalid_payload", fmt.Sprintf(format, args...)}
}

// message is what Alertmanager and most other senders use of Slack's message. Members that are left out here are
// neither checked nor shown.
type message struct {
	Channel     string            `json:"channel"`
	Username    string            `json:"username"`
	Text        string            `json:"text"`
	Blocks      []json.RawMessage `json:"blocks"`
	Attachments []attachment      `json:"attachments"`
}

type attachment struct {
	Title      string            `json:"title"`
	TitleLink  string            `json:"title_link"`
	Pretext    string            `json:"pretext"`
	Text       string            `json:"text"`
	Fallback   string            `json:"fallback"`
	CallbackID string            `json:"callback_id"`
	Color      string            `json:"color"`
	Footer     string            `json:"footer"`
	Fields     []field           `json:"fields"`
	Actions    []action          `json:"actions"`
	Blocks     []json.RawMessage `json:"blocks"`
	ImageURL   string            `json:"image_url"`
	ThumbURL   string            `json:"thumb_url"`
	MrkdwnIn   []string          `json:"mrkdwn_in"`
}

type field struct {
	Title string `json:"title"`
	Value string `json:"value"`
	Short bool   `json:"short"`
}

type action struct {
	Type  string `json:"type"`
	Text  string `json:"text"`
	URL   string `json:"url"`
	Name  string `json:"name"`
	Value string `json:"value"`
	Style string `json:"style"`
}

// parse reads and checks a message. It also returns the decoded body for further checks.
func parse(body []byte) (message, any, error) {
	var m message
	if !utf8.Valid(body) {
		return m, nil, invalid("the body is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return m, nil, invalid("the body is not JSON: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return m, nil, invalid("something follows the JSON object in the body")
	}
	if raw[0] != '{' {
		return m, nil, invalid("the body is not a JSON object")
	}
	var object any
	if err := errors.Join(json.Unmarshal(raw, &object), json.Unmarshal(raw, &m)); err != nil {
		return m, object, invalid("%v", err)
	}
	return m, object, m.check()
}

func (m message) check() error {
	if m.Text == "" && len(m.Blocks) == 0 && len(m.Attachments) == 0 {
		return &fault{"no_text", "one of text, blocks and attachments is needed"}
	}
	if len(m.Attachments) > maxAttachments {
		return &fault{"too_many_attachments", fmt.Sprintf("%d attachments, at most %d are permitted", len(m.Attachments), maxAttachments)}
	}
	if err := checkBlocks(m.Blocks); err != nil {
		return &fault{"invalid_blocks", err.Error()}
	}
	for i, a := range m.Attachments {
		if err := a.check(); err != nil {
			var f *fault
			if errors.As(err, &f) {
				f.detail = fmt.Sprintf("attachment %d: %s", i+1, f.detail)
			}
			return err
		}
	}
	return nil
}

func (a attachment) check() error {
	if a.Text == "" && a.Fallback == "" && len(a.Blocks) == 0 {
		return &fault{"missing_text_or_fallback_or_attachments", "it has neither text nor fallback"}
	}
	if len(a.Actions) > maxActions {
		return invalid("%d actions, at most %d are permitted", len(a.Actions), maxActions)
	}
	for i, act := range a.Actions {
		if err := act.check(); err != nil {
			return invalid("action %d %v", i+1, err)
		}
	}
	if err := checkBlocks(a.Blocks); err != nil {
		return &fault{"invalid_attachments", err.Error()}
	}
	return nil
}

func (a action) check() error {
	switch {
	case !slices.Contains([]string{"button", "select"}, a.Type):
		return fmt.Errorf("has the type %q, which must be button or select", a.Type)
	case a.Text == "":
		return errors.New("has no text")
	case a.URL == "" && (a.Name == "" || a.Value == ""):
		return errors.New("has neither a url nor a name with a value")
	case len(a.URL) > maxURL:
		return fmt.Errorf("has a url of %d bytes, at most %d are permitted", len(a.URL), maxURL)
	case a.URL != "" && !isWeb(a.URL):
		return fmt.Errorf("has the url %.100q, which is no web address", a.URL)
	}
	return nil
}

func isWeb(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// mention matches what makes Slack notify people who have not asked for it.
var mention = regexp.MustCompile(`<(!(here|channel|everyone)|!subteam\^[A-Z0-9]+|@[A-Z0-9]+)(\|[^>]*)?>`)

// warnings says what Slack takes but nobody can have meant.
func (m message) warnings() []string {
	var list []string
	warn := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if len(m.Attachments) > manyAttachments {
		warn("%d attachments: Slack asks for no more than %d", len(m.Attachments), manyAttachments)
	}
	look := func(where, text string, long int) {
		if found := mention.FindString(text); found != "" {
			warn("%s notifies people by %s: escape & < > in labels and annotations", where, found)
		}
		if length := utf8.RuneCountInString(text); length > long {
			warn("%s has %d characters, of which Slack shows %d", where, length, long)
		}
	}
	look("text", m.Text, longText)
	for i, a := range m.Attachments {
		where := func(name string) string { return fmt.Sprintf("attachments[%d].%s", i, name) }
		look(where("title"), a.Title, longAttachment)
		look(where("pretext"), a.Pretext, longAttachment)
		look(where("text"), a.Text, longAttachment)
		look(where("fallback"), a.Fallback, longText)
		look(where("footer"), a.Footer, longAttachment)
		for j, f := range a.Fields {
			look(where(fmt.Sprintf("fields[%d]", j)), f.Title+" "+f.Value, longAttachment)
		}
	}
	return list
}
