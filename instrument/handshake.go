package instrument

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/instrument/internal/errs"
)

// A Handshake is a request for a connection that has not been answered yet. The first call of Refused or Opened ends
// it. Later calls do nothing, nor do calls on a nil or zero Handshake.
type Handshake struct {
	observer *Observer
	id       string // of the connection
	start    time.Duration
	trusted  bool // the peer
	ended    atomic.Bool
	taken    atomic.Bool // by HandshakeFromContext or BeginHandshake

	ctx    context.Context // of the request, with the span and the connection's id
	traced bool            // the span was started with the handshake
	span   trace.Span      // one that does nothing until startSpan
	parent context.Context // of the span
	opts   []trace.SpanStartOption
}

type handshakeKey struct{}

// BeginHandshake begins to observe a request for a connection. The returned context carries the handshake's span, so
// that spans of work such as authentication become its children, the connection's id for log records, and the Handshake
// itself for HandshakeFromContext. Do not use it for the connection's messages; see Conn.Context.
//
// If ctx carries a Handshake of o that has not ended, BeginHandshake returns ctx and that Handshake. So a request is
// one handshake, even if several handlers and adapters observe it.
//
// If ctx carries a span that this process started, that span becomes the parent. A remote span in ctx, or the trace
// context in the request's header, becomes a link, or the parent if the peer is trusted. Above the limit of
// WithSpanLimit there is no span.
func (o *Observer) BeginHandshake(ctx context.Context, r Request) (context.Context, *Handshake) {
	if !o.live() {
		return ctx, nil
	}
	if h := o.HandshakeFromContext(ctx); h != nil {
		return ctx, h
	}
	h := &Handshake{
		observer: o, id: newConnectionID(), start: o.now(), trusted: o.trusts(ctx, r), span: trace.SpanFromContext(o.root),
	}
	if o.tracing {
		h.prepareSpan(ctx, &r)
	}
	if h.traced = o.tracing && o.handshakeSpans.allow(h.start); h.traced {
		h.startSpan()
	} else {
		h.ctx = contextWithConnection(ctx, h.id)
	}
	return context.WithValue(h.ctx, handshakeKey{}, h), h
}

func (h *Handshake) prepareSpan(ctx context.Context, r *Request) {
	o := h.observer
	attributes := r.attributes(make([]attribute.KeyValue, 0, 7))
	attributes = append(attributes, semconv.NetworkProtocolName(networkProtocol(o.protocol)), o.keys.namespace.String(o.namespace),
		keyConnectionID.String(h.id))
	h.opts = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attributes...)}
	h.parent = ctx
	sender := trace.SpanContextFromContext(ctx)
	if sender.IsValid() && !sender.IsRemote() {
		return // a middleware's span, which has dealt with the sender's context
	}
	if !sender.IsValid() {
		sender = o.senderContext(r.Header)
	}
	h.parent, h.opts = continueFrom(ctx, sender, h.trusted, h.opts)
}

func (h *Handshake) startSpan(opts ...trace.SpanStartOption) {
	o := h.observer
	var ctx context.Context
	ctx, h.span = o.tracer.Start(h.parent, o.protocol+".handshake", append(h.opts, opts...)...)
	h.ctx = contextWithConnection(ctx, h.id)
}

// HandshakeFromContext returns the Handshake of o that ctx carries, or nil if there is none or it has ended. Adapters
// use it to continue a handshake that the application or a middleware has begun, for example to authenticate the peer
// within it.
func (o *Observer) HandshakeFromContext(ctx context.Context) *Handshake {
	h, _ := ctx.Value(handshakeKey{}).(*Handshake)
	if h == nil || h.observer != o || h.ended.Load() {
		return nil
	}
	h.taken.Store(true)
	return h
}

// Taken reports whether HandshakeFromContext or BeginHandshake has returned the Handshake to somebody else, who may end
// it. The caller who began the Handshake then ends it only if nobody else does.
func (h *Handshake) Taken() bool { return h != nil && h.taken.Load() }

// Refused ends a handshake that did not become a connection. The metrics have the status s. The span and the log record
// `handshake refused` also have httpStatus and err. httpStatus is the status of the answer to the peer, or 0 if there
// was no answer or the protocol has no such status. err is the cause and may be nil. The record has the level that
// WithLogLevel sets. By default it is a warning if the failure is the server's, StatusError or StatusOverCapacity, and
// informational otherwise.
func (h *Handshake) Refused(s Status, httpStatus int, err error) {
	if !h.end() {
		return
	}
	o := h.observer
	if s == StatusConnected {
		o.misused(misuseRefusedConnected)
		s = 0
	}
	now := o.now()
	if !h.traced {
		h.keep(now)
	}
	h.span.SetAttributes(semconv.ErrorTypeKey.String(s.String()))
	h.answered(httpStatus)
	if httpStatus >= http.StatusInternalServerError || s == StatusError {
		h.span.SetStatus(codes.Error, errs.Text(err))
	}
	h.span.End()
	o.metrics.connections.of(s).Inc()
	o.metrics.handshakeDuration.observe(s, now, now-h.start, h.span.SpanContext())
	if kind, ok := refusalKind(s); ok {
		o.metrics.errors.of(kind).Inc()
	}
	attrs := []slog.Attr{slog.String("status", s.String())}
	if httpStatus != 0 {
		attrs = append(attrs, slog.Int("http_status", httpStatus))
	}
	kind := recordRefused
	if s == StatusError || s == StatusOverCapacity {
		kind = recordFailedHandshake
	}
	o.records.write(h.ctx, kind, now, append(attrs, slog.String("error", errs.Text(err)))...)
}

// keep makes the span of a handshake that turned out to be worth one, like Message.keep. It has a limit of its own, so
// that refused strangers do not use up the spans of others.
func (h *Handshake) keep(now time.Duration) {
	o := h.observer
	switch {
	case !o.tracing:
	case !o.failureSpans.allow(now):
		o.suppressed(0, suppressedByCap)
	default:
		h.startSpan(trace.WithTimestamp(time.Now().Add(h.start - now)))
	}
}

// refusalKind returns the kind of error that a refusal counts as. A server that is full or draining, or limits a peer's
// rate, works as intended, so that is not an error.
func refusalKind(s Status) (ErrorKind, bool) {
	switch s {
	case StatusUnauthorized, StatusForbidden:
		return ErrorAuth, true
	case StatusRateLimited, StatusOverCapacity, StatusDraining:
		return 0, false
	default:
		return ErrorHandshake, true
	}
}

// Opened ends a handshake that became a connection. The connection counts as open until Conn.Closed. httpStatus is the
// status of the answer to the peer, such as 101 for a WebSocket, or 0 if the protocol has no such status. Opened
// returns nil if the Handshake has ended already, or is nil or zero.
func (h *Handshake) Opened(httpStatus int) *Conn {
	if !h.end() {
		return nil
	}
	o := h.observer
	now := o.now()
	if !h.traced && o.tracing {
		o.suppressed(0, suppressedByCap)
	}
	h.answered(httpStatus)
	h.span.End()
	c := o.newConn(h, now)
	o.metrics.connections.of(StatusConnected).Inc()
	o.metrics.handshakeDuration.observe(StatusConnected, now, now-h.start, h.span.SpanContext())
	o.records.write(h.ctx, recordOpened, now)
	return c
}

func (h *Handshake) answered(httpStatus int) {
	if httpStatus != 0 {
		h.span.SetAttributes(semconv.HTTPResponseStatusCode(httpStatus))
	}
}

func (h *Handshake) end() bool {
	return h != nil && h.observer.live() && h.ended.CompareAndSwap(false, true)
}
