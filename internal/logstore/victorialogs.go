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

const victoriaLogsPath = "/select/logsql/query"

func (v victoriaLogs) URL(q Query) string {
	return v.Backend.URL(victoriaLogsPath, victoriaLogsQuery(q))
}

func victoriaLogsQuery(q Query) url.Values {
	return url.Values{
		"query": {logsQL(q)},
		"start": {nanoseconds(q.Start)},
		"end":   {nanoseconds(q.End)},
	}
}

// logsQL writes the query so that no text in it can be more than a text: LogsQL
// has Go's quoted strings.
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
	return query + " | sort by (_time) limit " + strconv.Itoa(q.Limit)
}

func (v victoriaLogs) Records(ctx context.Context, q Query) ([]Record, error) {
	records, left := []Record{}, newRoom()
	err := v.Get(ctx, victoriaLogsPath, victoriaLogsQuery(q), func(body io.Reader) error {
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
	return oldest(records, q.Limit), nil
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
