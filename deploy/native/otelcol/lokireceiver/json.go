package lokireceiver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// jsonPush is the JSON form of a push, as Loki's HTTP API documents it.
type jsonPush struct {
	Streams []struct {
		Labels  map[string]text `json:"stream"`
		Entries []*jsonEntry    `json:"values"`
	} `json:"streams"`
}

// text is a value that should be a string. Like Loki, it takes any other value as it is written: clients send the
// numbers, booleans and nulls that an application logs.
type text string

// jsonEntry is ["<nanoseconds since 1970>", "<line>"] with an optional object of structured metadata as third element.
// Further elements are ignored, as by Loki.
type jsonEntry struct{ entry }

func decodeJSON(body []byte, out *translation) error {
	var push jsonPush
	if err := json.Unmarshal(body, &push); err != nil {
		return fmt.Errorf("body is not a push in JSON: %w", err)
	}
	if len(push.Streams) == 0 {
		return errNoStreams
	}
	for i, stream := range push.Streams {
		labels, err := jsonLabels(stream.Labels)
		if err != nil {
			return fmt.Errorf("stream %d: %w", i, err)
		}
		for _, e := range stream.Entries {
			if e == nil { // JSON's null, which Loki ignores too
				continue
			}
			if err := out.add(labels, e.entry); err != nil {
				return fmt.Errorf("stream %d: %w", i, err)
			}
		}
	}
	return nil
}

func jsonLabels(set map[string]text) ([]pair, error) {
	var labels []pair
	for _, p := range sortedPairs(set) {
		if !isName(p.name) {
			return nil, fmt.Errorf("%q is not a valid label name", p.name)
		}
		labels = keep(labels, p)
	}
	return labels, nil
}

func sortedPairs(set map[string]text) []pair {
	pairs := make([]pair, 0, len(set))
	for _, name := range slices.Sorted(maps.Keys(set)) {
		pairs = append(pairs, pair{name, string(set[name])})
	}
	return pairs
}

// UnmarshalJSON reads a string, or takes another value as it is written.
func (v *text) UnmarshalJSON(data []byte) error {
	if !isString(data) {
		*v = text(data)
		return nil
	}
	return json.Unmarshal(data, (*string)(v))
}

func isString(data []byte) bool { return bytes.HasPrefix(data, []byte(`"`)) }

// UnmarshalJSON reads the array that is an entry.
func (e *jsonEntry) UnmarshalJSON(data []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return fmt.Errorf("an entry is not an array: %w", err)
	}
	if len(parts) < 2 {
		return fmt.Errorf("an entry has %d elements, not time, line and perhaps structured metadata", len(parts))
	}
	var stamp string
	if err := json.Unmarshal(parts[0], &stamp); err != nil {
		return fmt.Errorf("an entry's time: %w", err)
	}
	nanos, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return errors.New("an entry's time is not a number of nanoseconds in quotes")
	}
	if e.at, err = unixTime(nanos/int64(time.Second), nanos%int64(time.Second)); err != nil {
		return err
	}
	if !isString(parts[1]) {
		return errors.New("an entry's line is not a string")
	}
	if err := json.Unmarshal(parts[1], &e.line); err != nil {
		return fmt.Errorf("an entry's line: %w", err)
	}
	if len(parts) > 2 {
		var set map[string]text
		if err := json.Unmarshal(parts[2], &set); err != nil {
			return fmt.Errorf("an entry's structured metadata: %w", err)
		}
		e.metadata = sortedPairs(set)
	}
	return nil
}
