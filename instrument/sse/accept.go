package sse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/instrument"
	"github.com/sockscope/sockscope/instrument/internal/handshake"
)

// Protocol is the name for instrument.WithProtocol. Metrics are then called sse_connections_total and so on.
const Protocol = "sse"

const contentType = "text/event-stream"

// Accept answers the request with an event stream that is open until the handler returns, and observes the handshake. A
// refused request is answered, counted with its status and logged. Any other becomes an open connection, which counts
// until the Stream has ended. Browsers request a stream by GET, but the answer to a POST may also be one. Accept
// refuses other methods (405), an Accept header that excludes text/event-stream (406), and a ResponseWriter that can't
// flush (500). If the peer is gone before it could be answered, that is a bad handshake with the HTTP status 0.
//
// Headers that are set on w before, such as those for CORS, are sent, too. Unless they are set, Accept adds
// "Cache-Control: no-cache, no-transform", because a proxy that compresses holds back events, and "X-Accel-Buffering:
// no" for nginx. The stream begins with a comment, so that middlewares that wait for a body send the header at once.
//
// If the application has begun a handshake with Observer.BeginHandshake, for example to authenticate the peer within
// it, and r's context carries it, Accept continues that handshake. If the peer sends Last-Event-ID because it
// reconnects, the handshake's span has the attribute sse.resume.
func Accept(w http.ResponseWriter, r *http.Request, o *instrument.Observer) (*Stream, error) {
	ctx, h := handshake.Begin(o, r, Protocol)
	defer func() { handshake.Panicked(h, recover()) }()
	if err := refusal(w, r); err != nil {
		h.Refused(err.status, err.code, err)
		if err.code == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", "GET, POST")
		}
		http.Error(w, err.Error(), err.code)
		return nil, err
	}
	s := &Stream{
		w:           w,
		control:     http.NewResponseController(w),
		request:     r.Context(),
		observer:    o,
		lastEventID: lastEventID(r.Header),
		timeout:     defaultWriteTimeout,
	}
	if s.lastEventID != "" {
		trace.SpanFromContext(ctx).SetAttributes(attribute.Bool("sse.resume", true))
	}
	if err := s.answer(); err != nil {
		refuse(h, o, err)
		return nil, err
	}
	s.context, s.cancel = context.WithCancel(s.request)
	s.observed = h.Opened(http.StatusOK)
	s.observed.OnDrain(s.drain)
	if s.cutAfter > 0 {
		s.observed.DeadlinesHidden()
	}
	return s, nil
}

// refuse ends a handshake whose answer could not be sent.
func refuse(h *instrument.Handshake, o *instrument.Observer, err error) {
	switch {
	case errors.Is(err, http.ErrNotSupported): // and nothing has been sent
		h.Refused(instrument.StatusError, http.StatusInternalServerError, err)
	case o.Draining():
		h.Refused(instrument.StatusDraining, 0, err)
	default:
		h.Refused(instrument.StatusBadHandshake, 0, err)
	}
}

// answer sends the header, so the peer knows that it is connected before there is an event.
func (s *Stream) answer() error {
	if err := s.request.Err(); err != nil {
		return gone(err)
	}
	// A wrapper that hides deadlines also hides the server's, which can't be changed here.
	_ = s.control.SetReadDeadline(time.Time{})
	header := s.w.Header()
	if !strings.HasPrefix(header.Get("Content-Type"), contentType) {
		header.Set("Content-Type", contentType)
	}
	setAbsent(header, "Cache-Control", "no-cache, no-transform")
	setAbsent(header, "X-Accel-Buffering", "no")
	deadline, err := s.startWrite()
	if errors.Is(err, http.ErrNotSupported) {
		s.cutAfter = serverTimeout(s.request)
	}
	defer s.endWrite(deadline)
	s.opened = time.Now()
	s.w.WriteHeader(http.StatusOK)
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("sse: send header: %w", err)
	}
	// The peer is answered, unless a middleware waits for a body. If the peer is gone, the next write fails.
	_, _ = io.WriteString(s.w, ":\n\n")
	_ = s.control.Flush()
	return nil
}

func setAbsent(header http.Header, name, value string) {
	if len(header.Values(name)) == 0 {
		header.Set(name, value)
	}
}

// serverTimeout returns the time that the server allows for an answer, or 0 if there is no limit.
func serverTimeout(ctx context.Context) time.Duration {
	server, ok := ctx.Value(http.ServerContextKey).(*http.Server)
	if !ok {
		return 0
	}
	return max(server.WriteTimeout, 0)
}

// refusedError is the reason why a request does not become a stream, and the answer to it.
type refusedError struct {
	status instrument.Status
	code   int
	reason string
}

func (e *refusedError) Error() string { return "sse: " + e.reason }

func refusal(w http.ResponseWriter, r *http.Request) *refusedError {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		return &refusedError{instrument.StatusBadHandshake, http.StatusMethodNotAllowed, "an event stream is asked for by GET or POST"}
	case !accepts(r.Header.Values("Accept")):
		return &refusedError{instrument.StatusBadHandshake, http.StatusNotAcceptable, "the Accept header excludes " + contentType}
	case !flushes(w):
		return &refusedError{instrument.StatusError, http.StatusInternalServerError,
			"the ResponseWriter cannot flush: let the middleware that wraps it have an Unwrap method"}
	}
	return nil
}

// flushes says whether http.ResponseController will be able to flush w. Trying it would send the header. A wrapper may
// have a Flush that fails, or panics, because the ResponseWriter in it has none, so the innermost one must have it,
// too.
func flushes(w http.ResponseWriter) bool {
	found := false
	for {
		flushes := false
		switch w.(type) {
		case interface{ FlushError() error }, http.Flusher:
			found, flushes = true, true
		}
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return found && flushes
		}
		w = wrapper.Unwrap()
	}
}

// accepts says whether Accept headers allow text/event-stream: the most specific range that covers it decides.
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

// covers returns how specifically a media range covers text/event-stream, or 0 if it does not.
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

// quality returns the weight in the parameters of a media range, or 1 if there is no valid one.
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

// lastEventID returns the id in the request, or "" if it is not one that a Stream can have sent.
func lastEventID(h http.Header) string {
	if id := h.Get("Last-Event-ID"); isID(id) {
		return id
	}
	return ""
}

// ErrClosed is the error of sending on a stream that has ended.
var ErrClosed = errors.New("sse: stream is closed")
