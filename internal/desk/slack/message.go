// Package slack takes messages as Slack's incoming webhooks do, and refuses what
// they would refuse with the same plain words, so that a configuration that works
// with the desk works with Slack.
//
// The rules are those of Slack's public documentation of incoming webhooks and of
// message attachments. How many actions an attachment may have, and which error
// answers one that is wrong, is not written there; five and invalid_payload are
// what is known of them.
package slack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// Limits of a message.
const (
	maxAttachments = 100
	maxBlocks      = 50
	maxActions     = 5
)

// fault is why a message is refused: the word that Slack answers, and for the
// inbox what exactly is wrong.
type fault struct {
	word   string
	detail string
}

func (f *fault) Error() string { return f.word + ": " + f.detail }

func invalid(format string, args ...any) error {
	return &fault{"invalid_payload", fmt.Sprintf(format, args...)}
}

// message is what Alertmanager and most other senders use of Slack's message.
// Members that are left out here are neither checked nor shown.
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

// parse reads and checks a message. The decoded body comes along for whoever
// wants to look further.
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
		return err
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
	return checkBlocks(a.Blocks)
}

func (a action) check() error {
	switch {
	case !slices.Contains([]string{"button", "select"}, a.Type):
		return fmt.Errorf("has the type %q, which must be button or select", a.Type)
	case a.Text == "":
		return errors.New("has no text")
	case a.URL == "" && (a.Name == "" || a.Value == ""):
		return errors.New("has neither a url nor a name with a value")
	}
	return nil
}

func checkBlocks(blocks []json.RawMessage) error {
	if len(blocks) > maxBlocks {
		return &fault{"invalid_blocks", fmt.Sprintf("%d blocks, at most %d are permitted", len(blocks), maxBlocks)}
	}
	for i, raw := range blocks {
		var block struct {
			Type string `json:"type"`
		}
		if json.Unmarshal(raw, &block) != nil || block.Type == "" {
			return &fault{"invalid_blocks", fmt.Sprintf("block %d is not an object with a type", i+1)}
		}
	}
	return nil
}
