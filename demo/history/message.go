package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/sockscope/sockscope/demo/wire"
)

// A Message is what somebody said in a room.
type Message struct {
	// Room is where: up to 64 bytes of letters, digits, dots, dashes and underscores.
	Room string `json:"-"`
	// Seq numbers the messages of a room: 1, 2, 3 … The store assigns it.
	Seq uint64 `json:"-"`
	// ID is what the sender calls the message, normally a UUID, up to 128 bytes. Together with From it makes a retry
	// known as such.
	ID string `json:"id"`
	// SavedID is a UUID of version 7 that the store assigns. No other message has it.
	SavedID string `json:"savedId"`
	// From is who said it, up to 128 bytes.
	From string `json:"from"`
	// Text is what was said. The whole message can't be larger than 64 KiB.
	Text string `json:"text"`
	// Time is when, in UTC.
	Time time.Time `json:"time"`
	// Traceparent and Tracestate are the W3C trace context in which the message was handled, for readers to link to.
	// They may be empty.
	Traceparent string `json:"traceparent,omitempty"`
	Tracestate  string `json:"tracestate,omitempty"`
}

const (
	maxName   = 128
	maxRecord = 64 << 10
)

// prepare completes a message that is to be appended and encodes it.
func prepare(m Message) (Message, []byte, error) {
	for _, err := range []error{checkRoom(m.Room), checkName("the message's ID", m.ID), checkName("the sender", m.From)} {
		if err != nil {
			return Message{}, nil, err
		}
	}
	if !utf8.ValidString(m.Text) {
		return Message{}, nil, invalid("the text is not UTF-8")
	}
	if m.Time.IsZero() {
		m.Time = time.Now()
	}
	m.Time = m.Time.Round(0).UTC()
	id, err := uuid.NewV7()
	if err != nil {
		return Message{}, nil, fmt.Errorf("make an id: %w", err)
	}
	m.Seq, m.SavedID = 0, id.String()
	record, err := json.Marshal(m)
	switch {
	case err != nil: // a year that RFC 3339 can't tell
		return Message{}, nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	case len(record) > maxRecord:
		return Message{}, nil, invalid("the message takes %d bytes: %d are the most", len(record), maxRecord)
	}
	return m, record, nil
}

// decode reads what prepare has encoded and a store has kept.
func decode(room string, seq uint64, record []byte) (Message, error) {
	var m Message
	err := json.Unmarshal(record, &m)
	if err == nil && (m.ID == "" || m.SavedID == "" || m.From == "") {
		err = errors.New("fields are missing")
	}
	if err != nil {
		return Message{}, fmt.Errorf("message %d of room %s is damaged: %w", seq, room, err)
	}
	m.Room, m.Seq = room, seq
	return m, nil
}

// key is what makes a retry known.
func (m *Message) key() string { return m.From + "\x00" + m.ID }

// checkRoom refuses what is no room's name, which also keeps it out of the syntax of keys.
func checkRoom(room string) error {
	if err := wire.CheckRoomName(room); err != nil {
		return invalid("%v", err)
	}
	return nil
}

func checkName(what, name string) error {
	switch {
	case name == "":
		return invalid("%s is missing", what)
	case len(name) > maxName:
		return invalid("%s is longer than %d bytes", what, maxName)
	case !utf8.ValidString(name) || strings.ContainsRune(name, 0):
		return invalid("%s is not text", what)
	}
	return nil
}

func checkLimit(limit int) error {
	if limit < 1 {
		return invalid("a limit of %d messages: ask for 1 or more", limit)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}
