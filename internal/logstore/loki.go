package logstore

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sockscope/sockscope/internal/backend"
)

type loki struct{ *backend.Backend }

// Loki returns the Loki at an address such as http://127.0.0.1:3100.
func Loki(address string, transport http.RoundTripper) Store {
	return loki{backend.New("Loki", address, transport)}
}

const lokiPath = "/loki/api/v1/query_range"

func (l loki) URL(q Query) string { return l.Backend.URL(lokiPath, lokiQuery(q)) }

func (loki) Native(q Query) string { return logQL(q) }

func lokiQuery(q Query) url.Values {
	direction := "forward"
	if q.Newest {
		direction = "backward"
	}
	return url.Values{
		"query":     {logQL(q)},
		"start":     {nanoseconds(q.Start)},
		"end":       {nanoseconds(q.End)},
		"limit":     {strconv.Itoa(q.Limit)},
		"direction": {direction},
	}
}

// logQL writes the query. It quotes all texts, because LogQL has Go's quoted strings, so no text can change the query.
func logQL(q Query) string {
	stream := `service_name=~".+"` // Loki asks for one that can't be empty
	if q.Service != "" {
		stream = "service_name=" + strconv.Quote(q.Service)
	}
	if q.Level != "" {
		stream += ", level=" + strconv.Quote(q.Level)
	}
	query := "{" + stream + "}"
	if q.TraceID != "" {
		query += " | trace_id=" + strconv.Quote(q.TraceID)
	}
	if q.ConnectionID != "" {
		query += " | connection_id=" + strconv.Quote(q.ConnectionID)
	}
	for _, f := range q.Fields {
		query += " | " + lokiName(f.Key) + "=" + strconv.Quote(f.Value)
	}
	if patterns := q.patterns(); len(patterns) > 0 {
		// A filter for the line can't be joined by "or" with one for a label.
		query += ` | label_format line_and_error="{{__line__}}\n{{.error}}"`
		for _, p := range patterns {
			query += " | line_and_error=~" + strconv.Quote("(?s).*"+p+".*")
		}
		query += " | drop line_and_error"
	}
	return query
}

// lokiName is the name that Loki gives to a field: that of a Prometheus label, which no text can break out of.
func lokiName(name string) string {
	var label strings.Builder
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '_', r >= '0' && r <= '9':
			label.WriteRune(r)
		default:
			label.WriteByte('_')
		}
	}
	if name = label.String(); name == "" || name[0] >= '0' && name[0] <= '9' {
		return "key_" + name
	}
	return name
}

func nanoseconds(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

// lokiAnswer is the needed part of a range query's answer. Loki adds a record's structured metadata to the labels of
// its stream.
type lokiAnswer struct {
	Data struct {
		Result []struct {
			Stream map[string]string   `json:"stream"`
			Values [][]json.RawMessage `json:"values"`
		} `json:"result"`
	} `json:"data"`
}

func (l loki) Records(ctx context.Context, q Query) ([]Record, error) {
	return l.records(ctx, lokiQuery(q), q)
}

func (l loki) Ask(ctx context.Context, native string, from, to time.Time, limit int) ([]Record, error) {
	q := Query{Start: from, End: to, Limit: limit, Newest: true}
	form := lokiQuery(q)
	form.Set("query", native)
	return l.records(ctx, form, q)
}

func (l loki) Count(ctx context.Context, native string, from, to time.Time, step time.Duration) ([]Series, error) {
	var answer matrix
	err := l.Get(ctx, lokiPath, url.Values{
		"query": {native}, "start": {nanoseconds(from)}, "end": {nanoseconds(to)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	}, backend.Into(&answer))
	return answer.series(), err
}

func (l loki) records(ctx context.Context, form url.Values, q Query) ([]Record, error) {
	var answer lokiAnswer
	if err := l.Get(ctx, lokiPath, form, backend.Into(&answer)); err != nil {
		return nil, err
	}
	records, left := []Record{}, newRoom()
	for _, stream := range answer.Data.Result {
		for _, value := range stream.Values {
			record, ok := lokiRecord(stream.Stream, value)
			if !ok {
				continue
			}
			if err := left.take(record); err != nil {
				return nil, fmt.Errorf("read the answer of %s: %w", l.Name(), err)
			}
			records = append(records, record)
		}
	}
	return q.limited(records), nil
}

// lokiMatrix is the needed part of a metric query's answer.
type lokiMatrix struct {
	Data struct {
		Result []struct {
			Values [][]json.RawMessage `json:"values"`
		} `json:"result"`
	} `json:"data"`
}

func (l loki) Histogram(ctx context.Context, q Query, step time.Duration) ([]Bucket, error) {
	seconds := strconv.Itoa(int(step.Seconds()))
	var answer lokiMatrix
	// A sample counts the records of the step before it.
	err := l.Get(ctx, lokiPath, url.Values{
		"query": {"sum(count_over_time(" + logQL(q) + " [" + seconds + "s]))"},
		"start": {nanoseconds(q.Start.Add(step))},
		"end":   {nanoseconds(q.End)},
		"step":  {seconds},
	}, backend.Into(&answer))
	if err != nil {
		return nil, err
	}
	var buckets []Bucket
	for _, series := range answer.Data.Result {
		for _, value := range series.Values {
			var at float64
			var count string
			if len(value) < 2 || json.Unmarshal(value[0], &at) != nil || json.Unmarshal(value[1], &count) != nil {
				continue
			}
			if n, err := strconv.Atoi(count); err == nil && n > 0 {
				buckets = append(buckets, Bucket{time.Unix(int64(at), 0).Add(-step).UTC(), n})
			}
		}
	}
	return buckets, nil
}

// lokiRecord reads a time in nanoseconds and a line.
func lokiRecord(labels map[string]string, value []json.RawMessage) (Record, bool) {
	var stamp, line string
	if len(value) < 2 || json.Unmarshal(value[0], &stamp) != nil || json.Unmarshal(value[1], &line) != nil {
		return Record{}, false
	}
	at, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return Record{}, false
	}
	fields := make(map[string]string, len(labels))
	maps.Copy(fields, labels)
	if fields["detected_level"] == "unknown" { // it has looked, and found none
		delete(fields, "detected_level")
	}
	return newRecord(time.Unix(0, at), line, fields), true
}
