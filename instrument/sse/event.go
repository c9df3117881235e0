package sse

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// An Event is sent to the peer. An event with neither type nor data only sets the peer's ID and Retry, and is not
// dispatched there.
type Event struct {
	// ID is the id that the peer sends as Last-Event-ID when it reconnects, at most 256 bytes. If it is empty, the peer
	// keeps the last one.
	ID string
	// Type is the event's name. Browsers treat an empty one as "message".
	Type string
	// Data is the payload in UTF-8. It may have several lines. The peer gets every line end as a line feed.
	Data []byte
	// Retry is the time after which the peer should reconnect when the stream has ended, in whole milliseconds. If it
	// is 0, the peer keeps its last value.
	Retry time.Duration
}

// maxIDBytes bounds event ids, in both directions.
const maxIDBytes = 256

// check refuses events that the peer would receive differently.
func (e *Event) check() error {
	switch {
	case e.ID != "" && !isID(e.ID):
		return fmt.Errorf("sse: event id %.40q: must be UTF-8 of at most %d bytes, on one line and without NUL", e.ID, maxIDBytes)
	case strings.ContainsAny(e.Type, "\r\n") || !utf8.ValidString(e.Type):
		return fmt.Errorf("sse: event type %.40q: must be UTF-8 on one line", e.Type)
	case !utf8.Valid(e.Data):
		return errors.New("sse: event data must be UTF-8: encode binary data, for example in base64")
	case e.Retry < 0:
		return fmt.Errorf("sse: event retry %v: must be 0 (not sent) or positive", e.Retry)
	case e.isEmpty():
		return errors.New("sse: event is empty: it needs a type or data, or at least an id or retry")
	}
	return nil
}

func (e *Event) isEmpty() bool { return e.ID == "" && e.Type == "" && len(e.Data) == 0 && e.Retry == 0 }

// isID says whether the id reaches the peer, and comes back in a header, unchanged.
func isID(id string) bool {
	return len(id) <= maxIDBytes && utf8.ValidString(id) && !strings.ContainsAny(id, "\r\n\x00")
}

// appendEvent appends e as a frame of text/event-stream.
func appendEvent(frame []byte, e *Event) []byte {
	if e.ID != "" {
		frame = append(append(append(frame, "id: "...), e.ID...), '\n')
	}
	if e.Type != "" {
		frame = append(append(append(frame, "event: "...), e.Type...), '\n')
	}
	if e.Retry > 0 {
		ms := (e.Retry + time.Millisecond - 1) / time.Millisecond
		frame = append(strconv.AppendInt(append(frame, "retry: "...), int64(ms), 10), '\n')
	}
	if e.Type != "" || len(e.Data) > 0 {
		frame = appendLines(frame, "data: ", e.Data)
	}
	return append(frame, '\n')
}

// appendLines appends each line of text after the name of its field. A carriage return ends a line, too. Otherwise the
// text after it could add fields of its own.
func appendLines(frame []byte, name string, text []byte) []byte {
	for {
		frame = append(frame, name...)
		end := bytes.IndexAny(text, "\r\n")
		if end < 0 {
			return append(append(frame, text...), '\n')
		}
		frame = append(append(frame, text[:end]...), '\n')
		if text[end] == '\r' && end+1 < len(text) && text[end+1] == '\n' {
			end++
		}
		text = text[end+1:]
	}
}
