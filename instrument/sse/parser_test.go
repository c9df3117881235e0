package sse_test

import (
	"strconv"
	"strings"
)

// received is an event as a peer dispatches it, with what it remembers at that moment.
type received struct {
	Type, Data, LastEventID string
	Retry                   int // milliseconds, 0 if never set
}

// parse interprets a whole stream as the HTML standard (9.2.6, "Interpreting an event stream") has it. It is what the
// tests hold the writer against, so it shares no code with it.
func parse(stream []byte) []received {
	text := strings.TrimPrefix(strings.ToValidUTF8(string(stream), "�"), "\uFEFF")
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(text, "\n")
	lines = lines[:len(lines)-1] // what no line end follows is discarded with the event it belongs to

	var (
		all             []received
		data, eventType string
		idBuffer        string
		lastID          string
		retry           int
	)
	for _, line := range lines {
		if line == "" {
			lastID = idBuffer
			if data != "" {
				e := received{Type: "message", Data: strings.TrimSuffix(data, "\n"), LastEventID: lastID, Retry: retry}
				if eventType != "" {
					e.Type = eventType
				}
				all = append(all, e)
			}
			data, eventType = "", ""
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			eventType = value
		case "data":
			data += value + "\n"
		case "id":
			if !strings.Contains(value, "\x00") {
				idBuffer = value
			}
		case "retry":
			if ms, err := strconv.Atoi(value); err == nil && strings.Trim(value, "0123456789") == "" {
				retry = ms
			}
		}
	}
	return all
}
