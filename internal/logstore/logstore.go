// Package logstore queries the stack's log store for records: Loki in LogQL, or VictoriaLogs in LogsQL. Both get the
// records from the same Collector, with the names of docs/telemetry.md.
package logstore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/internal/backend"
)

// Store is a log store. It is safe for concurrent use.
type Store interface {
	// Name returns the store's name for people.
	Name() string
	// URL returns the address that Records queries, so that a person can repeat the query.
	URL(Query) string
	// Native returns the query in the store's own language, LogQL or LogsQL.
	Native(Query) string
	// Records returns the records of the query, oldest first. An error has the store, its address, and its answer.
	Records(context.Context, Query) ([]Record, error)
	// Histogram counts the records of the query, ignoring its Limit, in steps of whole seconds. Start and End are
	// multiples of the step since 1970. A step without records is left out.
	Histogram(ctx context.Context, q Query, step time.Duration) ([]Bucket, error)
	// Ask returns what a query in the store's own language finds from one time to another: the newest records, at most
	// so many, oldest first.
	Ask(ctx context.Context, native string, from, to time.Time, limit int) ([]Record, error)
	// Count returns the series of a query in the store's own language that counts records, one point for each step.
	Count(ctx context.Context, native string, from, to time.Time, step time.Duration) ([]Series, error)
}

// Series is a series of numbers that a store made of records.
type Series struct {
	Labels map[string]string
	Points []Point
}

// Point is a number at a time.
type Point struct {
	At    time.Time
	Value float64
}

// matrix is how both stores answer with series: as Prometheus does.
type matrix struct {
	Data struct {
		Result []struct {
			Metric map[string]string    `json:"metric"`
			Values [][2]json.RawMessage `json:"values"`
		} `json:"result"`
	} `json:"data"`
}

func (m matrix) series() []Series {
	var list []Series
	for _, r := range m.Data.Result {
		delete(r.Metric, "__name__")
		s := Series{Labels: r.Metric}
		for _, v := range r.Values {
			var at float64
			var text string
			if json.Unmarshal(v[0], &at) != nil || json.Unmarshal(v[1], &text) != nil {
				continue
			}
			if value, err := strconv.ParseFloat(text, 64); err == nil {
				s.Points = append(s.Points, Point{time.UnixMilli(int64(at * 1000)).UTC(), value})
			}
		}
		list = append(list, s)
	}
	return list
}

// Query describes records. Texts are compared as a whole, and an empty text matches any.
type Query struct {
	Start, End   time.Time // from Start on, before End
	Limit        int       // the number of oldest records to return; at most 5000, which is Loki's limit
	Newest       bool      // return the newest records instead
	Service      string
	Level        string // in lower case, as the Collector writes it: trace, debug, info, warn, error or fatal
	TraceID      string
	ConnectionID string
	// Fields must all have these values. A name may be that of the service or that which the store shows.
	Fields []Field
	// Words has texts that must all be in the message or its error, in upper or lower case.
	Words string
}

// patterns are regular expressions for the words, one for each.
func (q Query) patterns() []string {
	var patterns []string
	between := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) } // Loki refuses a NUL here
	for word := range strings.FieldsFuncSeq(strings.ToValidUTF8(q.Words, "\uFFFD"), between) {
		patterns = append(patterns, "(?i)"+regexp.QuoteMeta(word))
	}
	return patterns
}

// Bucket is the number of records in one step of a histogram.
type Bucket struct {
	Start time.Time
	Count int
}

// Record is a log record.
type Record struct {
	Time    time.Time `json:"time"`
	Level   string    `json:"level,omitempty"` // in lower case
	Service string    `json:"service,omitempty"`
	Message string    `json:"message"`
	TraceID string    `json:"traceId,omitempty"` // empty if it is malformed
	SpanID  string    `json:"spanId,omitempty"`  // empty if it is malformed
	Fields  []Field   `json:"fields,omitempty"`  // everything else, by name
}

// Field is a name and a value in words.
type Field struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Limits on what is kept of one record, and of all together.
const (
	maxFields = 128
	maxKey    = 256
	maxValue  = 4 << 10
	maxText   = 16 << 20
)

// newRecord reads a line with the fields that the store has for it. A line of JSON, such as slog's, is taken apart, so
// that the message stands out.
func newRecord(at time.Time, line string, fields map[string]string) Record {
	message := line
	var object map[string]any
	if json.Unmarshal([]byte(line), &object) == nil {
		given := fields["level"]
		for k, v := range object {
			fields[k] = words(v)
		}
		if given != "" && !slices.Contains(levels(), strings.ToLower(fields["level"])) {
			fields["level"] = given // the line has a word of its own, as silly, for which the Collector has found one of ours
		}
		message = cmp.Or(fields["msg"], fields["message"], line)
	}
	take := func(names ...string) string {
		var first string
		for _, name := range names {
			first = cmp.Or(first, fields[name])
			delete(fields, name)
		}
		return first
	}
	record := Record{
		Time:    at.UTC(),
		Level:   strings.ToLower(backend.Cut(take("level", "severity_text", "detected_level"), maxKey)),
		Service: backend.Cut(take("service_name", "service.name", "service"), maxKey),
		Message: backend.Cut(message, maxValue),
	}
	if id, err := trace.TraceIDFromHex(take("trace_id")); err == nil {
		record.TraceID = id.String()
	}
	if id, err := trace.SpanIDFromHex(take("span_id")); err == nil {
		record.SpanID = id.String()
	}
	take("msg", "message", "severity_number", "time", "flags") // said already, or of no use to people
	for k, v := range fields {
		record.Fields = append(record.Fields, Field{backend.Cut(k, maxKey), backend.Cut(v, maxValue)})
	}
	slices.SortFunc(record.Fields, func(a, b Field) int { return cmp.Compare(a.Key, b.Key) })
	record.Fields = record.Fields[:min(len(record.Fields), maxFields)]
	return record
}

// levels are those that the Collector writes.
func levels() []string { return []string{"trace", "debug", "info", "warn", "error", "fatal"} }

// room is the amount of text that records may still have.
type room int

// newRoom is for all records of an answer. The answer itself may be much shorter: Loki gives the labels of a stream
// once, and each of its records has them.
func newRoom() room { return maxText }

// take takes the room of a record, or says that there is not enough.
func (r *room) take(record Record) error {
	const each = 128 // bytes of a record without any text
	size := each + len(record.Level) + len(record.Service) + len(record.Message)
	for _, f := range record.Fields {
		size += len(f.Key) + len(f.Value)
	}
	if *r -= room(size); *r < 0 {
		return fmt.Errorf("the records have more than %d MiB of text: ask for fewer, or for a shorter time", maxText>>20)
	}
	return nil
}

// words puts a decoded JSON value into words.
func words(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(text)
}

// limited sorts the oldest records first and cuts them to the query's limit.
func (q Query) limited(records []Record) []Record {
	slices.SortStableFunc(records, func(a, b Record) int { return a.Time.Compare(b.Time) })
	n := min(len(records), q.Limit)
	if q.Newest {
		return records[len(records)-n:]
	}
	return records[:n]
}
