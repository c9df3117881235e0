package logstore

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/trace"
)

// says is a store that gives the same answer to every question.
type says string

func (s says) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{Status: "200 OK", StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(s)))}, nil
}

// stores are both, with the same answer.
func (s says) stores() []Store {
	return []Store{Loki("http://loki", s), VictoriaLogs("http://victoria-logs", s)}
}

var all = Query{Start: time.Unix(0, 0), End: time.Unix(1<<32, 0), Limit: 5000}

// TestHostileAnswers has stores that answer with little what would take much memory, or with something else than
// records.
func TestHostileAnswers(t *testing.T) {
	var labels, values, numbers strings.Builder
	for i := range 200 {
		fmt.Fprintf(&labels, `"l%d":%q,`, i, strings.Repeat("x", 3000))
	}
	for i := range 5000 {
		fmt.Fprintf(&values, `["%d",""],`, i)
	}
	for i := range 100 {
		fmt.Fprintf(&numbers, `\"n%d\":1e308,`, i)
	}
	stream := func(labels, values string) string {
		return `{"data":{"result":[{"stream":{` + strings.TrimSuffix(labels, ",") + `},"values":[` + strings.TrimSuffix(values, ",") + `]}]}}`
	}
	loki, victoriaLogs := 0, 1
	for name, test := range map[string]struct {
		store  int
		answer string
		want   string // in the error
		count  int
	}{
		"labels of many records":   {loki, stream(labels.String(), values.String()), "more than 16 MiB of text", 0},
		"long numbers":             {loki, stream("", `["0","{`+strings.TrimSuffix(numbers.String(), ",")+`}"]`), "", 1},
		"value of another kind":    {loki, stream("", `["0",1],[1,"x"],["0"],[],["x","y"],["9223372036854775808","z"],["1","good"]`), "", 1},
		"stream of another kind":   {loki, `{"data":{"result":[{"stream":[]}]}}`, "read the answer of Loki: ", 0},
		"null of Loki":             {loki, `null`, "", 0},
		"page":                     {loki, `<html>`, "read the answer of Loki: invalid character", 0},
		"deep":                     {loki, strings.Repeat("[", 1<<20), "exceeded max depth", 0},
		"no time":                  {victoriaLogs, `{"_msg":"x"}`, "read the answer of VictoriaLogs: parsing time", 0},
		"field of another kind":    {victoriaLogs, `{"_time":"2026-12-01T00:00:00Z","_msg":1}`, "read the answer of VictoriaLogs: json", 0},
		"null of VictoriaLogs":     {victoriaLogs, `null`, "read the answer of VictoriaLogs: parsing time", 0},
		"cut in the middle":        {victoriaLogs, `{"_time":"2026-12-01T00:00:00Z"}` + "\n" + `{"_ti`, "read the answer of VictoriaLogs: unexpected EOF", 0},
		"nothing":                  {victoriaLogs, "\n\n", "", 0},
		"several on one line":      {victoriaLogs, strings.Repeat(`{"_time":"2026-12-01T00:00:00Z"}`, 3), "", 3},
		"deep line":                {victoriaLogs, `{"_time":"2026-12-01T00:00:00Z","_msg":"` + strings.Repeat("[", 1<<20) + `"}`, "", 1},
		"deep in a line's object":  {victoriaLogs, `{"_time":"2026-12-01T00:00:00Z","_msg":"{\"a\":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}"}`, "", 1},
		"malformed ids":            {victoriaLogs, `{"_time":"2026-12-01T00:00:00Z","trace_id":"../x","span_id":"0000000000000000"}`, "", 1},
		"more than was asked for":  {victoriaLogs, strings.Repeat(`{"_time":"2026-12-01T00:00:00Z"}`, 6000), "", 5000},
		"the time of another year": {victoriaLogs, `{"_time":"0000-01-01T00:00:00Z"}`, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			store := says(test.answer).stores()[test.store]
			records, err := store.Records(t.Context(), all)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want %q", err, test.want)
			}
			if len(records) != test.count {
				t.Errorf("%d records, want %d", len(records), test.count)
			}
			if err := bounded(records, len(test.answer)); err != nil {
				t.Error(err)
			}
		})
	}
}

// FuzzAnswers gives both stores any answer at all: they may refuse it, but neither panic nor return more than was asked
// for, or something that nobody could show.
func FuzzAnswers(f *testing.F) {
	content, err := os.ReadFile(recordings)
	if err != nil {
		f.Fatal(err)
	}
	var r recording
	if err := json.Unmarshal(content, &r); err != nil {
		f.Fatal(err)
	}
	for _, recorded := range r.Answers {
		var read lokiAnswer // without statistics, which are most of it
		if err := json.Unmarshal(recorded.Body, &read); err != nil {
			f.Fatal(err)
		}
		short, err := json.Marshal(read)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(short, 2)
	}
	f.Add([]byte(`{"_msg":"message handled","_stream":"{level=\"info\",service.name=\"chat\"}","_stream_id":"0","_time":"2026-12-01T00:21:27.336403136Z",`+
		`"connection_id":"c-1","level":"info","scope.name":"unknown","service.name":"chat","severity_number":"9","severity_text":"info",`+
		`"span_id":"`+spanID+`","trace_id":"`+traceID+`"}`+"\n"+`{"_msg":"{\"msg\":\"a\",\"n\":1e308,\"o\":{\"<\":[null]}}","_time":"2026-12-01T00:21:28Z"}`), 5000)
	f.Add([]byte(`{"hits":[{"fields":{},"timestamps":["2026-12-01T00:21:27Z","2026-12-01T00:21:28Z"],"values":[3,-1],"total":2}],`+
		`"data":{"result":[{"values":[[1796083525,"3"],[1e308,"1"],["x","y"]]}]}}`), 1)
	f.Fuzz(func(t *testing.T, answer []byte, limit int) {
		q := all
		q.Limit = min(max(limit, 0), 5000)
		for _, store := range says(answer).stores() {
			buckets, err := store.Histogram(t.Context(), q, time.Second)
			for _, b := range buckets {
				if err != nil || b.Count < 1 {
					t.Errorf("bucket %+v, %v", b, err)
				}
			}
			records, err := store.Records(t.Context(), q)
			if err != nil {
				if records != nil || !strings.Contains(err.Error(), "read the answer of "+store.Name()) {
					t.Errorf("%d records, error %v", len(records), err)
				}
				continue
			}
			if len(records) > q.Limit || !slices.IsSortedFunc(records, func(a, b Record) int { return a.Time.Compare(b.Time) }) {
				t.Errorf("%d records, of which %d were asked for, or not in order", len(records), q.Limit)
			}
			if err := bounded(records, len(answer)); err != nil {
				t.Error(err)
			}
		}
	})
}

// bounded returns an error if there is more in the records than they may have, or much more than in the answer, or
// anything but text.
func bounded(records []Record, answer int) error {
	const (
		cut     = len("…")
		expands = 8 // "<" of a line's object becomes "\u003c", and 1e20 is written in full
	)
	total := 0
	text := func(s string, limit int) error {
		total += len(s)
		if len(s) > limit+cut || !utf8.ValidString(s) {
			return fmt.Errorf("%d bytes of text, of %d: %.100q", len(s), limit, s)
		}
		return nil
	}
	for _, r := range records {
		if err := text(r.Message, maxValue); err != nil {
			return err
		}
		for _, s := range []string{r.Level, r.Service} {
			if err := text(s, maxKey); err != nil {
				return err
			}
		}
		if len(r.Fields) > maxFields {
			return fmt.Errorf("%d fields", len(r.Fields))
		}
		for _, f := range r.Fields {
			if err := text(f.Key, maxKey); err != nil {
				return err
			}
			if err := text(f.Value, maxValue); err != nil {
				return err
			}
		}
		if _, err := trace.TraceIDFromHex(r.TraceID); err != nil && r.TraceID != "" {
			return err
		}
		if _, err := trace.SpanIDFromHex(r.SpanID); err != nil && r.SpanID != "" {
			return err
		}
	}
	if total > maxText || len(records) <= 1 && total > expands*answer {
		return fmt.Errorf("%d bytes of text in all, of an answer of %d", total, answer)
	}
	return nil
}
