package history

import (
	"encoding/json"
	"fmt"
)

// The things that an entry does.
const (
	doSay    = "say"
	doRead   = "read"
	doForget = "forget"
)

// maxEntry is the size from which on messages wait for the next entry. Kafka takes records of up to 1 MB unless it is
// told otherwise.
const maxEntry = 256 << 10

// An entry is a record of the topic, about the room that the record's key names. Messages are accepted only if nothing
// has come before them that their writer did not know of, see view.accepts.
type entry struct {
	// ID tells the writer that it was its entry that came.
	ID string `json:"id"`
	// Do is doSay, doRead or doForget. Others are ignored.
	Do string `json:"do"`
	// Since is the offset before which a room counts as over: the writer's view may not have it, or it was quiet for
	// long.
	Since int64 `json:"since,omitempty"`
	// Seen is the offset that the writer's view was at.
	Seen int64 `json:"seen,omitempty"`
	// Seq is the number of the first of the Messages, how far the User has read, or the number of the newest message of
	// the room that is forgotten.
	Seq      uint64            `json:"seq"`
	User     string            `json:"user,omitempty"`
	Messages []json.RawMessage `json:"messages,omitempty"`
}

func (e entry) encode() ([]byte, error) {
	value, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode an entry: %w", err)
	}
	return value, nil
}

// readEntry reads a record. Anybody may have written the record: the entry is checked.
func readEntry(room string, value []byte) (e entry, messages []Message, err error) {
	if err := checkRoom(room); err != nil {
		return entry{}, nil, err
	}
	if err := json.Unmarshal(value, &e); err != nil {
		return entry{}, nil, fmt.Errorf("not an entry: %w", err)
	}
	if e.Seq == 0 {
		return entry{}, nil, invalid("an entry without a number")
	}
	switch e.Do {
	case doSay:
		messages, err = decodeAll(room, e)
	case doRead:
		err = checkName("the user", e.User)
	case doForget:
	default:
		err = invalid("an entry that does %q", e.Do)
	}
	if err != nil {
		return entry{}, nil, err
	}
	return e, messages, nil
}

func decodeAll(room string, e entry) ([]Message, error) {
	if len(e.Messages) == 0 || e.Seq+uint64(len(e.Messages)) < e.Seq {
		return nil, invalid("%d messages from %d", len(e.Messages), e.Seq)
	}
	messages := make([]Message, len(e.Messages))
	for i, record := range e.Messages {
		m, err := decode(room, e.Seq+uint64(i), record)
		if err != nil {
			return nil, err
		}
		messages[i] = m
	}
	return messages, nil
}
