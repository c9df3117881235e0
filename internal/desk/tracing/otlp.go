package tracing

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sockscope/sockscope/internal/backend"
)

// The part of OTLP's JSON that is read. Numbers of 64 bits come as strings, ids in hexadecimal or base64, and
// enumerations by number or name, depending on who wrote it.
type (
	otlpAnswer struct {
		Result        *otlpData      `json:"result"` // how the gRPC gateway wraps a stream's messages
		Error         *gatewayError  `json:"error"`
		ResourceSpans []otlpResource `json:"resourceSpans"`
	}
	otlpData struct {
		ResourceSpans []otlpResource `json:"resourceSpans"`
	}
	gatewayError struct {
		HTTPCode int    `json:"httpCode"`
		Message  string `json:"message"`
	}
	otlpResource struct {
		Resource struct {
			Attributes []otlpAttribute `json:"attributes"`
		} `json:"resource"`
		ScopeSpans []struct {
			Spans []otlpSpan `json:"spans"`
		} `json:"scopeSpans"`
	}
	otlpSpan struct {
		TraceID      string          `json:"traceId"`
		SpanID       string          `json:"spanId"`
		ParentSpanID string          `json:"parentSpanId"`
		Name         string          `json:"name"`
		Kind         enum            `json:"kind"`
		Start        nanos           `json:"startTimeUnixNano"`
		End          nanos           `json:"endTimeUnixNano"`
		Attributes   []otlpAttribute `json:"attributes"`
		Links        []struct {
			TraceID string `json:"traceId"`
			SpanID  string `json:"spanId"`
		} `json:"links"`
		Events []struct {
			Time       nanos           `json:"timeUnixNano"`
			Name       string          `json:"name"`
			Attributes []otlpAttribute `json:"attributes"`
		} `json:"events"`
		Status struct {
			Code    enum   `json:"code"`
			Message string `json:"message"`
		} `json:"status"`
	}
	otlpAttribute struct {
		Key   string    `json:"key"`
		Value otlpValue `json:"value"`
	}
	otlpValue struct {
		String *string         `json:"stringValue"`
		Bool   *bool           `json:"boolValue"`
		Int    json.RawMessage `json:"intValue"`
		Double json.RawMessage `json:"doubleValue"`
		Bytes  *string         `json:"bytesValue"`
		Array  *struct {
			Values []otlpValue `json:"values"`
		} `json:"arrayValue"`
		List *struct {
			Values []otlpAttribute `json:"values"`
		} `json:"kvlistValue"`
	}
)

// decodeTrace reads the spans of one trace; others in the answer are left out.
func decodeTrace(r io.Reader, id string) (Trace, error) {
	trace := Trace{ID: id}
	decoder := json.NewDecoder(r)
	for {
		var answer otlpAnswer
		err := decoder.Decode(&answer)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return trace, fmt.Errorf("not OTLP JSON: %w", err)
		}
		if answer.Error != nil {
			return trace, fmt.Errorf("error %d in the middle of the answer: %s", answer.Error.HTTPCode, backend.Cut(answer.Error.Message, 200))
		}
		if answer.Result != nil {
			answer.ResourceSpans = append(answer.ResourceSpans, answer.Result.ResourceSpans...)
		}
		for _, resource := range answer.ResourceSpans {
			trace.add(resource)
		}
	}
	if len(trace.Spans) == 0 {
		return trace, backend.ErrNotFound
	}
	return trace, nil
}

func (t *Trace) add(resource otlpResource) {
	attributes := attributes(resource.Resource.Attributes)
	for _, scope := range resource.ScopeSpans {
		for _, s := range scope.Spans {
			switch {
			case hexID(s.TraceID, 16) != t.ID:
			case len(t.Spans) >= maxSpans:
				t.More++
			default:
				t.Spans = append(t.Spans, s.span(t.ID, attributes))
			}
		}
	}
}

func (s otlpSpan) span(traceID string, resource []Attribute) Span {
	span := Span{
		TraceID: traceID,
		ID:      hexID(s.SpanID, 8),
		Parent:  hexID(s.ParentSpanID, 8),
		Name:    backend.Cut(s.Name, 256),
		Kind:    s.Kind.name("SPAN_KIND_", "", "internal", "server", "client", "producer", "consumer"),
		Service: "unknown",
		Start:   s.Start.time(),
		End:     s.End.time(),
		Status:  s.Status.Code.name("STATUS_CODE_", "", "ok", "error"),
		Message: backend.Cut(s.Status.Message, maxValue),

		Attributes: attributes(s.Attributes),
		Resource:   resource,
	}
	for i, a := range span.Attributes {
		if a.Key == "@jaeger@warnings" {
			span.Warning = strings.Trim(a.Value, "[]")
			span.Attributes = slices.Delete(span.Attributes, i, i+1)
			break
		}
	}
	if span.End.Before(span.Start) {
		span.End = span.Start
	}
	for _, a := range resource {
		if a.Key == "service.name" {
			span.Service = a.Value
		}
	}
	for _, l := range s.Links[:min(len(s.Links), maxLinks)] {
		if id := hexID(l.TraceID, 16); id != "" {
			span.Links = append(span.Links, Link{TraceID: id, SpanID: hexID(l.SpanID, 8)})
		}
	}
	for _, e := range s.Events[:min(len(s.Events), maxLinks)] {
		span.Events = append(span.Events, Event{e.Time.time(), backend.Cut(e.Name, 256), attributes(e.Attributes)})
	}
	return span
}

// attributes puts attributes into words.
func attributes(list []otlpAttribute) []Attribute {
	var result []Attribute
	for _, a := range list[:min(len(list), maxAttributes)] {
		result = append(result, Attribute{backend.Cut(a.Key, 256), backend.Cut(a.Value.words(0), maxValue)})
	}
	return result
}

func (v otlpValue) words(depth int) string {
	switch {
	case depth > 4:
		return "…"
	case v.String != nil:
		return *v.String
	case v.Bool != nil:
		return strconv.FormatBool(*v.Bool)
	case v.Int != nil:
		return strings.Trim(string(v.Int), `"`)
	case v.Double != nil:
		return strings.Trim(string(v.Double), `"`)
	case v.Bytes != nil:
		return *v.Bytes
	case v.Array != nil:
		return join("[", "]", v.Array.Values, func(e otlpValue) string { return e.words(depth + 1) })
	case v.List != nil:
		return join("{", "}", v.List.Values, func(a otlpAttribute) string { return a.Key + ": " + a.Value.words(depth+1) })
	}
	return ""
}

func join[T any](open, end string, list []T, words func(T) string) string {
	var parts []string
	for _, e := range list[:min(len(list), maxAttributes)] {
		parts = append(parts, words(e))
	}
	return open + strings.Join(parts, ", ") + end
}

// enum is an enumeration's number or name.
type enum string

func (e *enum) UnmarshalJSON(data []byte) error {
	*e = enum(strings.Trim(string(data), `"`))
	return nil
}

// name returns which of the names, given in the order of their numbers, is meant.
func (e enum) name(prefix string, names ...string) string {
	short := strings.ToLower(strings.TrimPrefix(string(e), prefix))
	for i, name := range names {
		if short == name || short == strconv.Itoa(i) {
			return name
		}
	}
	return ""
}

// nanos is a time in nanoseconds since 1970, as a number or a string.
type nanos string

func (n *nanos) UnmarshalJSON(data []byte) error {
	*n = nanos(strings.Trim(string(data), `"`))
	return nil
}

func (n nanos) time() time.Time {
	v, err := strconv.ParseInt(string(n), 10, 64)
	if err != nil {
		return time.Unix(0, 0).UTC()
	}
	return time.Unix(0, v).UTC()
}

// hexID returns an id of so many bytes in hexadecimal, or "" if it is not one or all zero. The two spellings never have
// the same length.
func hexID(s string, bytes int) string {
	id, err := hex.DecodeString(s)
	if err != nil || len(id) != bytes {
		id, err = base64.StdEncoding.DecodeString(s)
	}
	if err != nil || len(id) != bytes {
		return ""
	}
	text := hex.EncodeToString(id)
	if strings.Trim(text, "0") == "" {
		return ""
	}
	return text
}
