package check

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// stream is the records of a Loki answer that share labels and structured
// metadata.
type stream struct {
	Labels map[string]string `json:"stream"`
	Values [][]string        `json:"values"` // time and line
}

// tryLogs holds when Loki has records with our trace's id and when a record
// leads back to a span in Jaeger.
func (r *run) tryLogs(ctx context.Context) (string, error) {
	var answer struct {
		Data struct {
			Result []stream `json:"result"`
		} `json:"data"`
	}
	id := r.marked.trace.TraceID().String()
	e, err := r.get(ctx, r.loki, "/loki/api/v1/query_range", url.Values{
		"query": {`{service_name="` + service + `"} | trace_id="` + id + `"`},
		"start": {nanoseconds(r.began.Add(-time.Minute))}, // clocks differ
		"end":   {nanoseconds(time.Now().Add(time.Minute))},
		"limit": {"20"},
	}, &answer)
	if err != nil {
		return "", err
	}
	records := 0
	for _, s := range answer.Data.Result {
		records += len(s.Values)
	}
	if records == 0 {
		return "", e.lacks("Loki has no record with trace_id %s", id)
	}
	if strings.Contains(string(e.body), r.marked.text) {
		return "", e.lacks("a log record contains what our message said; payloads must not be logged")
	}
	labels := answer.Data.Result[0].Labels
	back := spanRef{TraceID: labels["trace_id"], SpanID: labels["span_id"]}
	s, _, err := r.findSpan(ctx, back)
	if err != nil {
		return "", fmt.Errorf("from the log record back to its trace: %w", err)
	}
	return fmt.Sprintf("log records with the trace id: %d; the first leads back to the span %s", records, s.Name), nil
}

func nanoseconds(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }
