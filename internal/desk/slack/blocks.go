package slack

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Limits of blocks.
const (
	maxBlocks      = 50
	maxBlockID     = 255
	maxHeader      = 150
	maxSection     = 3000
	maxMarkdown    = 12_000
	maxFields      = 10
	maxField       = 2000
	maxElements    = 25 // of an actions block
	maxContext     = 10 // elements of a context block
	maxAltText     = 2000
	maxButtonText  = 75
	maxButtonValue = 2000
)

// block has what the blocks of a message have in common with one another, as far as there is a rule for it.
type block struct {
	Type     string            `json:"type"`
	BlockID  string            `json:"block_id"`
	Text     json.RawMessage   `json:"text"`
	Fields   []text            `json:"fields"`
	Elements []json.RawMessage `json:"elements"`
	ImageURL string            `json:"image_url"`
	AltText  string            `json:"alt_text"`
}

// text is a text object.
type text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type button struct {
	Type  string `json:"type"`
	Text  text   `json:"text"`
	URL   string `json:"url"`
	Value string `json:"value"`
}

func checkBlocks(blocks []json.RawMessage) error {
	if len(blocks) > maxBlocks {
		return fmt.Errorf("%d blocks, at most %d are permitted", len(blocks), maxBlocks)
	}
	for i, raw := range blocks {
		var b block
		if json.Unmarshal(raw, &b) != nil || b.Type == "" {
			return fmt.Errorf("block %d is not an object with a type", i+1)
		}
		if err := b.check(); err != nil {
			return fmt.Errorf("block %d (%s) %w", i+1, b.Type, err)
		}
	}
	return nil
}

func (b block) check() error {
	if len(b.BlockID) > maxBlockID {
		return fmt.Errorf("has a block_id of %d characters, at most %d are permitted", len(b.BlockID), maxBlockID)
	}
	switch b.Type {
	case "header":
		return checkText(b.Text, maxHeader, "plain_text")
	case "section":
		return b.checkSection()
	case "context":
		if len(b.Elements) == 0 || len(b.Elements) > maxContext {
			return fmt.Errorf("has %d elements, 1 to %d are permitted", len(b.Elements), maxContext)
		}
	case "actions":
		return b.checkActions()
	case "image":
		if b.AltText == "" || utf8.RuneCountInString(b.AltText) > maxAltText {
			return fmt.Errorf("needs an alt_text of at most %d characters", maxAltText)
		}
	case "markdown":
		var content string
		if json.Unmarshal(b.Text, &content) != nil || content == "" || utf8.RuneCountInString(content) > maxMarkdown {
			return fmt.Errorf("needs a text of at most %d characters", maxMarkdown)
		}
	case "divider", "rich_text", "file", "video", "table", "input", "context_actions", "call":
	default:
		return errors.New("is of a type that Slack does not know")
	}
	return nil
}

func (b block) checkSection() error {
	if len(b.Fields) > maxFields {
		return fmt.Errorf("has %d fields, at most %d are permitted", len(b.Fields), maxFields)
	}
	for i, f := range b.Fields {
		if err := f.check(maxField, "plain_text", "mrkdwn"); err != nil {
			return fmt.Errorf("has a field %d that %w", i+1, err)
		}
	}
	if len(b.Text) == 0 && len(b.Fields) > 0 {
		return nil
	}
	return checkText(b.Text, maxSection, "plain_text", "mrkdwn")
}

func (b block) checkActions() error {
	if len(b.Elements) == 0 || len(b.Elements) > maxElements {
		return fmt.Errorf("has %d elements, 1 to %d are permitted", len(b.Elements), maxElements)
	}
	for i, raw := range b.Elements {
		var e button
		if json.Unmarshal(raw, &e) != nil || e.Type == "" {
			return fmt.Errorf("has an element %d without a type", i+1)
		}
		if e.Type != "button" {
			continue
		}
		if err := e.Text.check(maxButtonText, "plain_text"); err != nil {
			return fmt.Errorf("has a button %d whose text %w", i+1, err)
		}
		if len(e.URL) > maxURL || len(e.Value) > maxButtonValue {
			return fmt.Errorf("has a button %d whose url or value is too long", i+1)
		}
	}
	return nil
}

func checkText(raw json.RawMessage, most int, types ...string) error {
	var t text
	if len(raw) == 0 || json.Unmarshal(raw, &t) != nil {
		return errors.New("has no text object")
	}
	if err := t.check(most, types...); err != nil {
		return fmt.Errorf("has a text that %w", err)
	}
	return nil
}

func (t text) check(most int, types ...string) error {
	known := false
	for _, want := range types {
		known = known || t.Type == want
	}
	length := utf8.RuneCountInString(t.Text)
	switch {
	case !known:
		return fmt.Errorf("has the type %q, which must be one of %v", t.Type, types)
	case length == 0:
		return errors.New("is empty")
	case length > most:
		return fmt.Errorf("has %d characters, at most %d are permitted", length, most)
	}
	return nil
}
