package instrument

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// A Handshake is an upgrade request that has not been answered yet. It ends by the first call of Refused or Opened;
// later calls, and all calls on a nil or zero Handshake, do nothing.
type Handshake struct {
	observer *Observer
	id  string
	start    time.Duration
	ended    atomic.Bool

	ctx    context.Context // that of the request, with the span and the session
	traced bool            // the span was started with the handshake
	span   trace.Span      // one that does nothing until startSpan
	parent context.Context // of the span
	opts   []trace.SpanStartOption
}

type handshakeKey struct{}

// Handshake begins to observe an upgrade request. The carrier holds the request's headers and may be nil; serverAddress
// is the host that the request was for. The returned context carries the handshake's span, for spans of work such as
// authentication to be its children, the session id for log records, and the Handshake itself for
// HandshakeFromContext. It must not be used for the connection's messages; see Conn.Context. There is no span beyond the
// limit of WithSpanLimit.
func (o *Observer) BeginHandshake(ctx context.Context, carrier propagation.TextMapCarrier, serverAddress string) (context.Context, *Handshake) {
	if !o.live() {
		return ctx, nil
	}
	h := &Handshake{observer: o, id: newConnectionID(), start: o.now(), span: trace.SpanFromContext(o.root), parent: ctx}
	h.opts = []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(
			attribute.String("server.address", bounded(serverAddress)),
			attribute.String("network.protocol.name", o.transport),
			attribute.String(o.transport+".namespace", o.namespace),
			attribute.String("connection.id", h.id),
		),
	}
	// A span that this process has started already, such as an HTTP middleware's, has dealt with the sender's context.
	if !trace.SpanContextFromContext(ctx).IsValid() {
		h.parent, h.opts = o.continueFrom(ctx, senderContext(carrier), h.opts)
	}
	if h.traced = o.handshakeSpans.allow(h.start); h.traced {
		h.startSpan()
	} else {
		h.ctx = contextWithConnection(ctx, h.id)
	}
	return context.WithValue(h.ctx, handshakeKey{}, h), h
}

func (h *Handshake) startSpan(opts ...trace.SpanStartOption) {
	o := h.observer
	var ctx context.Context
	ctx, h.span = o.tracer.Start(h.parent, o.transport+".handshake", append(h.opts, opts...)...)
	h.ctx = contextWithConnection(ctx, h.id)
}

// HandshakeFromContext returns the Handshake that ctx carries, or nil. Adapters use it to carry on with a handshake that
// the application has begun itself, for example before it authenticates the peer.
func HandshakeFromContext(ctx context.Context) *Handshake {
	h, _ := ctx.Value(handshakeKey{}).(*Handshake)
	return h
}

// Refused ends a handshake that did not become a connection: s says why in the metrics, httpStatus is what the peer was
// answered, 0 if the transport has no such status, and err, which may be nil, is the cause for the span and the log
// record `handshake refused`.
func (h *Handshake) Refused(s Status, httpStatus int, err error) {
	if !h.end() {
		return
	}
	o := h.observer
	now := o.now()
	if !h.traced {
		h.keep(now)
	}
	h.span.SetAttributes(attribute.String("error.type", s.String()))
	h.answered(httpStatus)
	if httpStatus >= http.StatusInternalServerError || s == StatusError {
		h.span.SetStatus(codes.Error, errorText(err))
	}
	h.span.End()
	o.metrics.connections.of(s).Inc()
	o.metrics.handshakeDuration.observe(s, now, now-h.start, h.span.SpanContext())
	if kind, ok := refusalKind(s); ok {
		o.metrics.errors.of(kind).Inc()
	}
	o.records.write(h.ctx, recordRefused, now, slog.String("status", s.String()),
		slog.Int("http_status", httpStatus), slog.String("error", errorText(err)))
}

// keep makes the span of a handshake that turned out to be worth one, as Message.keep does. It has a limit of its own: a
// stranger who is refused must not keep others from having theirs.
func (h *Handshake) keep(now time.Duration) {
	if !h.observer.failureSpans.allow(now) {
		h.observer.suppressed(suppressedByCap)
		return
	}
	h.startSpan(trace.WithTimestamp(time.Now().Add(h.start - now)))
}

// refusalKind returns which error a refusal is. A server that is full or draining, or holds back a peer, does what it
// is meant to do: that is no error.
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

// Opened ends a handshake that became a connection, which counts as open until Conn.Close. httpStatus is what the peer
// was answered, such as 101 for a WebSocket, and 0 if the transport has no such status. After Refused, and on a nil or
// zero Handshake, it returns nil.
func (h *Handshake) Opened(httpStatus int) *Conn {
	if !h.end() {
		return nil
	}
	o := h.observer
	now := o.now()
	if !h.traced {
		o.suppressed(suppressedByCap)
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
		h.span.SetAttributes(attribute.Int("http.response.status_code", httpStatus))
	}
}

func (h *Handshake) end() bool {
	return h != nil && h.observer.live() && h.ended.CompareAndSwap(false, true)
}
