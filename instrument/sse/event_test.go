package sse

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestAppendEvent compares the frames of events byte by byte.
func TestAppendEvent(t *testing.T) {
	tests := map[string]struct {
		event Event
		want  string
	}{
		"data":              {Event{Data: []byte("hello")}, "data: hello\n\n"},
		"everything":        {Event{"7", "price", []byte("1.5"), 2 * time.Second}, "id: 7\nevent: price\nretry: 2000\ndata: 1.5\n\n"},
		"lines":             {Event{Data: []byte("a\nb\r\nc\rd")}, "data: a\ndata: b\ndata: c\ndata: d\n\n"},
		"line end at end":   {Event{Data: []byte("a\n")}, "data: a\ndata: \n\n"},
		"empty lines":       {Event{Data: []byte("\n\n")}, "data: \ndata: \ndata: \n\n"},
		"space in front":    {Event{Data: []byte(" a")}, "data:  a\n\n"},
		"injection":         {Event{Data: []byte("a\n\nevent: b\rid: 1")}, "data: a\ndata: \ndata: event: b\ndata: id: 1\n\n"},
		"type alone":        {Event{Type: "tick"}, "event: tick\ndata: \n\n"},
		"id alone":          {Event{ID: "7"}, "id: 7\n\n"},
		"retry, rounded up": {Event{Retry: time.Microsecond}, "retry: 1\n\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := tt.event.check(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(appendEvent(nil, &tt.event))); diff != "" {
				t.Errorf("frame, -want +got:\n%s", diff)
			}
		})
	}
}

// TestCheck has events refused that could not be written as they are.
func TestCheck(t *testing.T) {
	tests := map[string]struct {
		event Event
		want  string
	}{
		"line feed in id":         {Event{ID: "1\ndata: x"}, "event id"},
		"carriage return in id":   {Event{ID: "1\r"}, "event id"},
		"NUL in id":               {Event{ID: "\x00"}, "event id"},
		"id too long":             {Event{ID: strings.Repeat("x", maxIDBytes+1)}, "256 bytes"},
		"id not UTF-8":            {Event{ID: "\xff"}, "event id"},
		"line feed in type":       {Event{Type: "a\n"}, "event type"},
		"carriage return in type": {Event{Type: "\rdata: x"}, "event type"},
		"type not UTF-8":          {Event{Type: "\xff"}, "event type"},
		"data not UTF-8":          {Event{Data: []byte("\xff")}, "base64"},
		"negative retry":          {Event{Data: []byte("x"), Retry: -1}, "retry"},
		"empty":                   {Event{}, "empty"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := tt.event.check(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("check: %v, want an error with %q", err, tt.want)
			}
		})
	}
}
