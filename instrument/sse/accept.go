package sse

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/instrument"
)

// Transport is the name to give to instrument.WithProtocol, so that metrics are called sse_connections_total and so on.
const Protocol = "sse"

const contentType = "text/event-stream"

// Accept answers the request with an event stream that is open until the handler returns, and observes the handshake: a
// refused request is answered, counted with its status and logged; any other becomes an open connection, which counts
// until the Stream has ended. Refused are methods other than GET (405), an Accept header that excludes text/event-stream
// (406), and a ResponseWriter that cannot flush (500). Headers that are set on w before, such as those for CORS, are
// sent along.
//
// If r's context carries a handshake that the application has begun with Observer.BeginHandshake, in order to authenticate
// the peer within it, Accept carries on with that one. When the peer tells by Last-Event-ID that it is coming back, the
// handshake's span has the attribute sse.resume.
func Accept(w http.ResponseWriter, r *http.Request, o *instrument.Observer) (*Stream, error) {
	ctx, h := r.Context(), o.HandshakeFromContext(r.Context())
	if h == nil {
		ctx, h = o.BeginHandshake(ctx, instrument.HTTPRequest(r))
	}
	if err := refusal(w, r); err != nil {
		h.Refused(err.status, err.code, err)
		if err.code == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", http.MethodGet)
		}
		http.Error(w, err.Error(), err.code)
		return nil, err
	}
	s := &Stream{
		w:           w,
		control:     http.NewResponseController(w),
		ctx:         r.Context(),
		observer:    o,
		lastEventID: lastEventID(r.Header),
		timeout:     defaultWriteTimeout,
	}
	if s.lastEventID != "" {
		trace.SpanFromContext(ctx).SetAttributes(attribute.Bool("sse.resume", true))
	}
	if err := s.answer(); err != nil {
		h.Refused(instrument.StatusError, http.StatusOK, err)
		return nil, err
	}
	s.session = h.Opened(http.StatusOK)
	return s, nil
}

// answer sends the header, so that the peer knows that it is connected before there is any event.
func (s *Stream) answer() error {
	// A wrapper that hides deadlines hides the server's as well; nothing can be done about it here.
	_ = s.control.SetReadDeadline(time.Time{})
	header := s.w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", "no-cache")
	header.Set("X-Accel-Buffering", "no") // nginx would hold events back
	s.startWrite()
	defer s.endWrite()
	s.w.WriteHeader(http.StatusOK)
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("sse: send header: %w", err)
	}
	return nil
}

// refusedError is why a request does not become a stream, and its answer.
type refusedError struct {
	status instrument.Status
	code   int
	reason string
}

func (e *refusedError) Error() string { return "sse: " + e.reason }

func refusal(w http.ResponseWriter, r *http.Request) *refusedError {
	switch {
	case r.Method != http.MethodGet:
		return &refusedError{instrument.StatusBadHandshake, http.StatusMethodNotAllowed, "an event stream is asked for by GET"}
	case !accepts(r.Header.Values("Accept")):
		return &refusedError{instrument.StatusBadHandshake, http.StatusNotAcceptable, "the Accept header excludes " + contentType}
	case !flushes(w):
		return &refusedError{instrument.StatusError, http.StatusInternalServerError,
			"the ResponseWriter cannot flush: let the middleware that wraps it have an Unwrap method"}
	}
	return nil
}

// flushes says whether http.ResponseController will be able to flush w. To find out by trying would send the header.
func flushes(w http.ResponseWriter) bool {
	for {
		switch t := w.(type) {
		case interface{ FlushError() error }, http.Flusher:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return false
		}
	}
}

// accepts says whether Accept headers leave room for text/event-stream: the most specific range that covers it decides.
func accepts(headers []string) bool {
	var ranges, specificity int
	acceptable := true
	for _, header := range headers {
		for element := range strings.SplitSeq(header, ",") {
			name, params, _ := strings.Cut(element, ";")
			name = strings.ToLower(strings.TrimSpace(name))
			if name == "" {
				continue
			}
			ranges++
			if s := covers(name); s > specificity {
				specificity, acceptable = s, quality(params) > 0
			}
		}
	}
	return ranges == 0 || specificity > 0 && acceptable
}

// covers returns how specifically a media range covers text/event-stream, 0 if it does not.
func covers(name string) int {
	switch name {
	case contentType:
		return 3
	case "text/*":
		return 2
	case "*/*":
		return 1
	}
	return 0
}

// quality returns the weight among the parameters of a media range, 1 where there is none that can be understood.
func quality(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			if q, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
				return q
			}
		}
	}
	return 1
}

// lastEventID returns the id from the request, or "" for one that no Stream has sent.
func lastEventID(h http.Header) string {
	if id := h.Get("Last-Event-ID"); isID(id) {
		return id
	}
	return ""
}

func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}

// ErrClosed is the error of sending on a stream that has ended.
var ErrClosed = errors.New("sse: stream is closed")
