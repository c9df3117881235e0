package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"
)

// records keeps what log records look like. A handler writes them to it as JSON, one at a time.
type records struct {
	mu    sync.Mutex
	kinds map[string]*recordKind // by message
}

type recordKind struct {
	levels names
	fields names // of any
	always names // of all
}

func newRecords() *records { return &records{kinds: map[string]*recordKind{}} }

// Write implements io.Writer.
func (r *records) Write(line []byte) (int, error) {
	var record map[string]any
	if err := json.Unmarshal(line, &record); err != nil {
		return 0, fmt.Errorf("log record %q: %w", line, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	message := fmt.Sprint(record["msg"])
	kind := r.kinds[message]
	if kind == nil {
		kind = &recordKind{levels: names{}, fields: names{}, always: names{}}
		for field := range record {
			kind.always[field] = true
		}
		r.kinds[message] = kind
	}
	maps.DeleteFunc(kind.always, func(field string, _ bool) bool {
		_, has := record[field]
		return !has
	})
	kind.levels[strings.ToLower(fmt.Sprint(record["level"]))] = true
	for field := range record {
		switch field {
		case "time", "level", "msg", "suppressed": // which any record may have
		default:
			kind.fields[field] = true
		}
	}
	return len(line), nil
}

func (r *records) has(message string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kinds[message] != nil
}

// await returns when there is a record with that message.
func (r *records) await(ctx context.Context, message string) error {
	for !r.has(message) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("no log record %q: %w", message, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}
