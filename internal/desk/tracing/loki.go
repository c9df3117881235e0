package tracing

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxRecords = 200
	// aroundSpans is how far from the spans their records may lie: clocks of
	// several machines, and what is logged after the last span has ended.
	aroundSpans = time.Minute
	// recently is where records are looked for when there are no spans.
	recently = 6 * time.Hour
)

// Record is a log record.
type Record struct {
	Time    time.Time   `json:"time"`
	Level   string      `json:"level,omitempty"`
	Service string      `json:"service,omitempty"`
	Message string      `json:"message"`
	SpanID  string      `json:"spanId,omitempty"`
	Fields  []Attribute `json:"fields,omitempty"`
}

// lokiAnswer is the part of a range query's answer that is read. Loki adds a
// record's structured metadata to the labels of its stream.
type lokiAnswer struct {
	Data struct {
		Result []struct {
			Stream map[string]string   `json:"stream"`
			Values [][]json.RawMessage `json:"values"`
		} `json:"result"`
	} `json:"data"`
}

// records returns a trace's log records, oldest first.
func (f *Finder) records(ctx context.Context, id string, start, end time.Time) ([]Record, error) {
	query := url.Values{
		"query":     {fmt.Sprintf(`{service_name=~".+"} | trace_id="%s"`, id)},
		"start":     {strconv.FormatInt(start.UnixNano(), 10)},
		"end":       {strconv.FormatInt(end.UnixNano(), 10)},
		"limit":     {strconv.Itoa(maxRecords)},
		"direction": {"forward"},
	}
	var answer lokiAnswer
	if err := f.loki.get(ctx, "/loki/api/v1/query_range", query, into(&answer)); err != nil {
		return []Record{}, err
	}
	list := []Record{}
	for _, stream := range answer.Data.Result {
		for _, value := range stream.Values {
			if record, ok := newRecord(stream.Stream, value); ok && len(list) < maxRecords {
				list = append(list, record)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Record) int { return a.Time.Compare(b.Time) })
	return list, nil
}

// newRecord reads one line with its labels. A line of JSON, as slog writes it, is
// taken apart, so that the message stands out.
func newRecord(labels map[string]string, value []json.RawMessage) (Record, bool) {
	var stamp, line string
	if len(value) < 2 || json.Unmarshal(value[0], &stamp) != nil || json.Unmarshal(value[1], &line) != nil {
		return Record{}, false
	}
	fields := map[string]string{}
	for k, v := range labels {
		fields[k] = v
	}
	message := line
	var object map[string]any
	if json.Unmarshal([]byte(line), &object) == nil {
		for k, v := range object {
			fields[k] = words(v)
		}
		message = cmp.Or(fields["msg"], fields["message"], line)
	}
	record := Record{
		Time:    nanos(stamp).time(),
		Level:   strings.ToLower(cmp.Or(fields["level"], fields["severity_text"], fields["detected_level"])),
		Service: cmp.Or(fields["service_name"], fields["service"]),
		Message: cutText(message, maxValue),
		SpanID:  hexID(fields["span_id"], 8),
	}
	for _, shown := range []string{"msg", "message", "level", "severity_text", "severity_number", "detected_level", "service_name", "service", "span_id", "trace_id", "time", "flags"} {
		delete(fields, shown)
	}
	for k, v := range fields {
		record.Fields = append(record.Fields, Attribute{cutText(k, 256), cutText(v, maxValue)})
	}
	slices.SortFunc(record.Fields, func(a, b Attribute) int { return cmp.Compare(a.Key, b.Key) })
	record.Fields = record.Fields[:min(len(record.Fields), maxAttributes)]
	return record, true
}

// words puts a decoded JSON value into words.
func words(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(text)
}
