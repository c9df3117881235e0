package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sockscope/sockscope/internal/backend"
	"github.com/sockscope/sockscope/internal/logstore"
)

// logStores returns the log stores that the stack may have. It has only one of them.
func logStores(cfg Config, r *run) []logstore.Store {
	var stores []logstore.Store
	if cfg.VictoriaLogs != "" {
		stores = append(stores, logstore.VictoriaLogs(cfg.VictoriaLogs, r.http.Transport))
	}
	if cfg.Loki != "" {
		stores = append(stores, logstore.Loki(cfg.Loki, r.http.Transport))
	}
	return stores
}

// tryLogs succeeds if the log store has records with our trace's id, and a record leads back to a span in Jaeger.
func (r *run) tryLogs(ctx context.Context) (string, error) {
	q := logstore.Query{
		Service: service,
		TraceID: r.marked.trace.TraceID().String(),
		Start:   r.began.Add(-time.Minute), // clocks differ
		End:     time.Now().Add(time.Minute),
		Limit:   20,
	}
	store, records, err := r.records(ctx, q)
	if err != nil {
		return "", &failure{missing: oneLine(err.Error()), url: store.URL(q)}
	}
	if len(records) == 0 {
		return "", &failure{missing: fmt.Sprintf("%s has no record with trace_id %s", store.Name(), q.TraceID), url: store.URL(q)}
	}
	if slices.ContainsFunc(records, func(record logstore.Record) bool { return contains(record, r.marked.text) }) {
		return "", &failure{missing: "a log record contains what our message said; payloads must not be logged", url: store.URL(q)}
	}
	s, _, err := r.findSpan(ctx, spanRef{TraceID: records[0].TraceID, SpanID: records[0].SpanID})
	if err != nil {
		return "", fmt.Errorf("from the log record back to its trace: %w", err)
	}
	return fmt.Sprintf("log records with the trace id in %s: %d; the first leads back to the span %s", store.Name(), len(records), s.Name), nil
}

// records asks the store that is running, or the first if none is.
func (r *run) records(ctx context.Context, q logstore.Query) (logstore.Store, []logstore.Record, error) {
	var away []string
	for _, store := range r.logs {
		records, err := store.Records(ctx, q)
		if !errors.Is(err, backend.ErrNotRunning) {
			return store, records, err
		}
		away = append(away, err.Error())
	}
	return r.logs[0], nil, errors.New(strings.Join(away, "; "))
}

func contains(record logstore.Record, text string) bool {
	return strings.Contains(record.Message, text) ||
		slices.ContainsFunc(record.Fields, func(f logstore.Field) bool { return strings.Contains(f.Value, text) })
}
