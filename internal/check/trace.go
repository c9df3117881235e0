package check

import (
	"context"
	"fmt"
	"slices"
)

// tryTrace succeeds if the trace that the demo named in its acknowledgement is in Jaeger, linked to the connection's
// handshake and to the context of our message. It must be a link, because a stranger's context is not a parent.
func (r *run) tryTrace(ctx context.Context) (string, error) {
	theirs := spanRef{TraceID: r.marked.trace.TraceID().String(), SpanID: r.marked.trace.SpanID().String()}
	ours := spanRef{TraceID: r.marked.ours.TraceID().String(), SpanID: r.marked.ours.SpanID().String()}
	s, e, err := r.messageSpan(ctx, theirs)
	if err != nil {
		return "", err
	}
	if !slices.Contains(s.Links, ours) {
		return "", e.lacks("span %q has no link to the traceparent of our message, %s", s.Name, ours.TraceID)
	}
	return fmt.Sprintf("trace %s: %s, linked to its handshake and to our traceparent", s.TraceID, s.Name), nil
}
