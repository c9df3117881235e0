package logstore

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sockscope/sockscope/internal/backend"
)

type victoriaLogs struct{ *backend.Backend }

// VictoriaLogs returns the VictoriaLogs at an address such as http://127.0.0.1:9428.
func VictoriaLogs(address string, transport http.RoundTripper) Store {
	return victoriaLogs{backend.New("VictoriaLogs", address, transport)}
}

const (
	victoriaLogsPath = "/select/logsql/query"
	victoriaLogsHits = "/select/logsql/hits"
	// Its times are the starts of steps.
	victoriaLogsStats = "/select/logsql/stats_query_range"
)

func (v victoriaLogs) URL(q Query) string {
	return v.Backend.URL(victoriaLogsPath, victoriaLogsQuery(q))
}

func (victoriaLogs) Native(q Query) string { return logsQL(q) }

func victoriaLogsQuery(q Query) url.Values { return victoriaLogsForm(logsQL(q), q) }

// victoriaLogsForm asks for what a native query finds.
func victoriaLogsForm(native string, q Query) url.Values {
	order := "_time"
	if q.Newest {
		order = "_time desc"
	}
	return url.Values{
		"query": {native + " | sort by (" + order + ") limit " + strconv.Itoa(q.Limit)},
		"start": {nanoseconds(q.Start)},
		"end":   {nanoseconds(q.End)},
	}
}

// logsQL writes the query. It quotes all texts, because LogsQL has Go's quoted strings, so no text can change the
// query.
func logsQL(q Query) string {
	query := "*"
	var stream []string
	if q.Service != "" {
		stream = append(stream, `"service.name"=`+strconv.Quote(q.Service))
	}
	if q.Level != "" {
		stream = append(stream, `"level"=`+strconv.Quote(q.Level))
	}
	if len(stream) > 0 {
		query = "{" + strings.Join(stream, ",") + "}"
	}
	if q.TraceID != "" {
		query += " trace_id:=" + strconv.Quote(q.TraceID)
	}
	if q.ConnectionID != "" {
		query += " connection_id:=" + strconv.Quote(q.ConnectionID)
	}
	for _, f := range q.Fields {
		query += " " + logsQLField(f)
	}
	for _, p := range q.patterns() {
		query += " (_msg:~" + strconv.Quote(p) + " or error:~" + strconv.Quote(p) + ")"
	}
	return query
}

// logsQLField wants a field to have a value. VictoriaLogs keeps a name as the Collector got it: with dots by OTLP, and
// with underscores in their place by Loki's protocol.
func logsQLField(f Field) string {
	filter := strconv.Quote(f.Key) + ":=" + strconv.Quote(f.Value)
	if underscored := strings.ReplaceAll(f.Key, ".", "_"); underscored != f.Key {
		return "(" + filter + " or " + strconv.Quote(underscored) + ":=" + strconv.Quote(f.Value) + ")"
	}
	return filter
}

func (v victoriaLogs) Records(ctx context.Context, q Query) ([]Record, error) {
	return v.records(ctx, victoriaLogsQuery(q), q)
}

func (v victoriaLogs) Ask(ctx context.Context, native string, from, to time.Time, limit int) ([]Record, error) {
	q := Query{Start: from, End: to, Limit: limit, Newest: true}
	return v.records(ctx, victoriaLogsForm(native, q), q)
}

func (v victoriaLogs) Count(ctx context.Context, native string, from, to time.Time, step time.Duration) ([]Series, error) {
	var answer matrix
	err := v.Get(ctx, victoriaLogsStats, url.Values{
		"query": {native}, "start": {nanoseconds(from)}, "end": {nanoseconds(to)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64) + "s"},
	}, backend.Into(&answer))
	return answer.series(), err
}

func (v victoriaLogs) records(ctx context.Context, form url.Values, q Query) ([]Record, error) {
	records, left := []Record{}, newRoom()
	err := v.Get(ctx, victoriaLogsPath, form, func(body io.Reader) error {
		for lines := json.NewDecoder(body); ; {
			var fields map[string]string
			err := lines.Decode(&fields)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			record, err := victoriaLogsRecord(fields)
			if err != nil {
				return err
			}
			if err := left.take(record); err != nil {
				return err
			}
			records = append(records, record)
		}
	})
	if err != nil {
		return nil, err
	}
	return q.limited(records), nil
}

func (v victoriaLogs) Histogram(ctx context.Context, q Query, step time.Duration) ([]Bucket, error) {
	var answer struct {
		Hits []struct {
			Timestamps []time.Time `json:"timestamps"`
			Values     []int       `json:"values"`
		} `json:"hits"`
	}
	err := v.Get(ctx, victoriaLogsHits, url.Values{
		"query": {logsQL(q)},
		"start": {nanoseconds(q.Start)},
		"end":   {nanoseconds(q.End)},
		"step":  {strconv.Itoa(int(step.Seconds())) + "s"},
	}, backend.Into(&answer))
	if err != nil {
		return nil, err
	}
	var buckets []Bucket
	for _, hits := range answer.Hits {
		for i, at := range hits.Timestamps[:min(len(hits.Timestamps), len(hits.Values))] {
			if n := hits.Values[i]; n > 0 {
				buckets = append(buckets, Bucket{at.UTC(), n})
			}
		}
	}
	return buckets, nil
}

// victoriaLogsRecord reads a record with what VictoriaLogs adds to it.
func victoriaLogsRecord(fields map[string]string) (Record, error) {
	at, err := time.Parse(time.RFC3339Nano, fields["_time"])
	if err != nil {
		return Record{}, err
	}
	line := fields["_msg"]
	for name, value := range fields {
		switch {
		case name == "_time", name == "_msg", name == "_stream", name == "_stream_id",
			name == "scope.name" && value == "unknown", name == "scope.version" && value == "unknown",
			name == "severity_text" && value == "Unspecified":
			delete(fields, name)
		}
	}
	return newRecord(at, line, fields), nil
}
