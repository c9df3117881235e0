package instrument

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"reflect"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// senderContext returns the trace context in carrier. It is invalid if there is none or it is malformed.
func (o *Observer) senderContext(carrier propagation.TextMapCarrier) trace.SpanContext {
	return o.contextIn(carrier, o.propagator)
}

// contextIn returns the trace context that carrier holds in the format of p.
func (o *Observer) contextIn(carrier propagation.TextMapCarrier, p propagation.TextMapPropagator) trace.SpanContext {
	if !o.tracing || isNil(carrier) {
		return trace.SpanContext{}
	}
	return trace.SpanContextFromContext(p.Extract(o.root, carrier))
}

// isNil reports whether carrier is nil or holds a nil pointer, as for a message without an envelope.
func isNil(carrier propagation.TextMapCarrier) bool {
	if carrier == nil {
		return true
	}
	v := reflect.ValueOf(carrier)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// trusts reports whether the request's peer may choose our trace ids and what is sampled.
func (o *Observer) trusts(ctx context.Context, r Request) bool {
	return o.trustedPeers || o.trust != nil && o.trust(ctx, r)
}

// continueFrom makes the sender's context the parent of the next span if the peer is trusted, and a link of a new root
// if not. A stranger must not choose our trace ids or what is sampled.
func continueFrom(
	ctx context.Context, sender trace.SpanContext, trusted bool, opts []trace.SpanStartOption,
) (context.Context, []trace.SpanStartOption) {
	switch {
	case !sender.IsValid():
		return ctx, opts
	case trusted:
		return trace.ContextWithRemoteSpanContext(ctx, sender), opts
	default:
		return ctx, append(opts, trace.WithNewRoot(), trace.WithLinks(trace.Link{SpanContext: sender}))
	}
}

// connectionKey is the key in contexts of a *Conn, set by Conn.Context, or of the connection's id, a string, before the
// connection is open.
type connectionKey struct{}

func contextWithConnection(ctx context.Context, id string) context.Context {
	if connectionFromContext(ctx) == id {
		return ctx
	}
	return context.WithValue(ctx, connectionKey{}, id)
}

// connectionFromContext returns the id of the connection that ctx belongs to, or "".
func connectionFromContext(ctx context.Context) string {
	switch v := ctx.Value(connectionKey{}).(type) {
	case *Conn:
		return v.id
	case string:
		return v
	default:
		return ""
	}
}

// newConnectionID returns 128 random bits in hexadecimal. The id names a connection; it is no secret and opens nothing.
func newConnectionID() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], rand.Uint64())
	binary.BigEndian.PutUint64(b[8:], rand.Uint64())
	return hex.EncodeToString(b[:])
}
