package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"
)

// exemplar is one measured message together with the trace that explains it.
type exemplar struct {
	Labels struct {
		TraceID string `json:"trace_id"`
		SpanID  string `json:"span_id"`
	} `json:"labels"`
	Timestamp float64 `json:"timestamp"`
}

// maxLookups bounds how many exemplars are looked up in Jaeger at once: a busy service has hundreds.
const maxLookups = 3

// tryExemplar succeeds if an exemplar of the latency histogram leads to its trace in Jaeger. Exemplars are throttled,
// so on a busy service it may be the exemplar of somebody else's message.
func (r *run) tryExemplar(ctx context.Context) (string, error) {
	found, e, err := r.exemplars(ctx)
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", e.lacks("Prometheus has no exemplar of the message duration since this check began")
	}
	for _, x := range found[:min(len(found), maxLookups)] {
		_, _, err = r.messageSpan(ctx, spanRef{TraceID: x.Labels.TraceID, SpanID: x.Labels.SpanID})
		switch {
		case errors.Is(err, errNotThere):
			continue // a busy service may have lost this one
		case err != nil:
			return "", fmt.Errorf("an exemplar's trace: %w", err)
		case r.isOurs(x.Labels.TraceID):
			return "an exemplar of our own message leads to trace " + x.Labels.TraceID, nil
		default:
			return "an exemplar of another message leads to trace " + x.Labels.TraceID, nil
		}
	}
	return "", fmt.Errorf("an exemplar's trace: %w", err)
}

// exemplars returns the exemplars of the classic buckets and of the native histogram since the check began, our own
// first, then the newest.
func (r *run) exemplars(ctx context.Context) ([]exemplar, exchange, error) {
	var answer struct {
		Data []struct {
			Exemplars []exemplar `json:"exemplars"`
		} `json:"data"`
	}
	e, err := r.get(ctx, r.prometheus, "/api/v1/query_exemplars", url.Values{
		"query": {`{__name__=~"websocket_message_duration_seconds(_bucket)?",job="` + service + `"}`},
		"start": {toSeconds(r.began)},
		"end":   {toSeconds(time.Now().Add(time.Minute))}, // clocks differ
	}, &answer)
	var found []exemplar
	for _, s := range answer.Data {
		found = append(found, s.Exemplars...)
	}
	slices.SortFunc(found, func(a, b exemplar) int {
		if ours := r.isOurs(a.Labels.TraceID); ours != r.isOurs(b.Labels.TraceID) {
			if ours {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.Timestamp, a.Timestamp)
	})
	return found, e, err
}
