package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// OpenTelemetry's numbers for the kinds of span that the contract names.
const (
	kindServer   = 2
	kindConsumer = 5
)

// span is one span as Jaeger tells it, in the JSON form of OTLP.
type span struct {
	spanRef
	Parent     string      `json:"parentSpanId"`
	Name       string      `json:"name"`
	Kind       int         `json:"kind"`
	Attributes []attribute `json:"attributes"`
	Links      []spanRef   `json:"links"`
}

// spanRef names a span: itself, or the other end of a link.
type spanRef struct {
	TraceID string `json:"traceId"`
	SpanID  string `json:"spanId"`
}

type attribute struct {
	Key   string `json:"key"`
	Value struct {
		String string `json:"stringValue"`
	} `json:"value"`
}

func (s span) session() string {
	for _, a := range s.Attributes {
		if a.Key == "connection.id" {
			return a.Value.String
		}
	}
	return ""
}

// errNotThere is wrapped by the error of a look-up if Jaeger has no such trace or span.
var errNotThere = errors.New("not in Jaeger")

// trace asks Jaeger for the spans of a trace. It is an error if the trace is not there (yet).
func (r *run) trace(ctx context.Context, id string) ([]span, exchange, error) {
	var answer struct {
		Result struct {
			ResourceSpans []struct {
				ScopeSpans []struct {
					Spans []span `json:"spans"`
				} `json:"scopeSpans"`
			} `json:"resourceSpans"`
		} `json:"result"`
	}
	e, err := r.get(ctx, r.jaeger, "/api/v3/traces/"+url.PathEscape(id), nil, &answer)
	if e.status == http.StatusNotFound {
		return nil, e, fmt.Errorf("%w: %w", errNotThere, e.lacks("no trace %s", id))
	}
	if err != nil {
		return nil, e, err
	}
	var spans []span
	for _, resource := range answer.Result.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			spans = append(spans, scope.Spans...)
		}
	}
	return spans, e, nil
}

// findSpan returns a span from Jaeger by a reference to it.
func (r *run) findSpan(ctx context.Context, ref spanRef) (span, exchange, error) {
	spans, e, err := r.trace(ctx, ref.TraceID)
	if err != nil {
		return span{}, e, err
	}
	for _, s := range spans {
		if s.spanRef == ref {
			return s, e, nil
		}
	}
	return span{}, e, fmt.Errorf("%w: %w", errNotThere, e.lacks("trace %s has no span %s", ref.TraceID, ref.SpanID))
}

// messageSpan returns the span of a received message if it is as the contract says: a root span, linked to the
// handshake of its connection, which must exist, too.
func (r *run) messageSpan(ctx context.Context, ref spanRef) (span, exchange, error) {
	s, e, err := r.findSpan(ctx, ref)
	if err != nil {
		return s, e, err
	}
	switch {
	case !strings.HasPrefix(s.Name, "websocket.message "):
		return s, e, e.lacks("span %s is called %q, not websocket.message …", s.SpanID, s.Name)
	case s.Kind != kindConsumer:
		return s, e, e.lacks("span %q is of kind %d, not consumer (%d)", s.Name, s.Kind, kindConsumer)
	case s.Parent != "":
		return s, e, e.lacks("span %q has the parent %s and is not a root of its own", s.Name, s.Parent)
	}
	return s, e, r.linkedHandshake(ctx, s, e)
}

func (r *run) linkedHandshake(ctx context.Context, message span, e exchange) error {
	for _, link := range message.Links {
		linked, _, err := r.findSpan(ctx, link)
		switch {
		case errors.Is(err, errNotThere):
			continue // a link may lead to a stranger's trace
		case err != nil:
			return fmt.Errorf("looking for the handshake that span %q is linked to: %w", message.Name, err)
		case linked.Name == "websocket.handshake" && linked.Kind == kindServer && linked.session() == message.session():
			return nil
		}
	}
	return e.lacks("span %q has no link to a websocket.handshake of its session that is in Jaeger", message.Name)
}
