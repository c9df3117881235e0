package desk

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Limits on what a form may ask for.
const (
	maxFormText = 500 // bytes of one entry
	maxPairs    = 8
)

// formText reads an entry of a form.
func formText(s string) string {
	s = strings.TrimSpace(s)
	return strings.ToValidUTF8(s[:min(len(s), maxFormText)], "\uFFFD")
}

// set sets the values that are not empty.
func set(query url.Values, values map[string]string) {
	for name, value := range values {
		if value != "" {
			query.Set(name, value)
		}
	}
}

// machine writes a time as parseTime reads it.
func machine(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// parseTime reads a time that a person or this program wrote, in UTC.
func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, time.DateTime, "2006-01-02 15:04", "2006-01-02T15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write it as in 2026-01-02 15:04:05, in UTC", text)
}

// timeRange is a range of time to choose: the last so long.
type timeRange struct {
	Value, Words string
	length       time.Duration
}

// timeRanges are the ranges to choose from.
func timeRanges() []timeRange {
	return []timeRange{
		{"15m", "15 minutes", 15 * time.Minute}, {"1h", "hour", time.Hour}, {"6h", "6 hours", 6 * time.Hour},
		{"24h", "day", 24 * time.Hour}, {"168h", "week", 168 * time.Hour},
	}
}

// period is the part of a form that chooses a time.
type period struct {
	Range    string // the value of one of timeRanges
	From, To string // texts of times, instead of the range
}

func newPeriod(query url.Values) period {
	p := period{Range: query.Get("range"), From: formText(query.Get("from")), To: formText(query.Get("to"))}
	if !slices.ContainsFunc(timeRanges(), func(r timeRange) bool { return r.Value == p.Range }) {
		p.Range = "1h"
	}
	return p
}

// set sets what chooses the same time.
func (p period) set(query url.Values) {
	set(query, map[string]string{"range": p.Range, "from": p.From, "to": p.To})
}

// bounds returns when the period begins and ends.
func (p period) bounds(now time.Time) (start, end time.Time, err error) {
	end = now
	if p.To != "" {
		if end, err = parseTime(p.To); err != nil {
			return start, end, err
		}
	}
	for _, r := range timeRanges() {
		if r.Value == p.Range {
			start = end.Add(-r.length)
		}
	}
	if p.From != "" {
		if start, err = parseTime(p.From); err != nil {
			return start, end, err
		}
	}
	if !start.Before(end) {
		err = fmt.Errorf("the range begins at %s and ends at %s, which is no later", start.Format(time.RFC3339), end.Format(time.RFC3339))
	}
	return start, end, err
}

// pairs are the part of a form that wants names to have values: texts as name=value.
type pairs []string

// pair is a name and its value.
type pair struct{ Key, Value string }

func newPairs(texts []string) pairs {
	var p pairs
	for _, text := range texts {
		if text = formText(text); text != "" {
			p = append(p, text)
		}
	}
	return p
}

// parse reads the texts.
func (p pairs) parse() ([]pair, error) {
	if len(p) > maxPairs {
		return nil, fmt.Errorf("there are %d pairs of name and value: at most %d are searched for", len(p), maxPairs)
	}
	var list []pair
	for _, text := range p {
		name, value, _ := strings.Cut(text, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if name == "" || value == "" {
			return nil, fmt.Errorf("%q is not a name and its value: write it as in reason=slow_consumer", text)
		}
		list = append(list, pair{name, value})
	}
	return list, nil
}
