// Package observe is what makes the demo observable: an observer for each transport, which knows the protocol's types
// of messages; the spans of what a message goes through; and the logger.
package observe

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/sockscope/sockscope/demo/wire"
	"github.com/sockscope/sockscope/instrument"
)

// Namespace is what the demo's telemetry calls this endpoint.
const Namespace = "chat"

// Config says where telemetry goes, and how much of it. A zero SpanLimit is a limit of 0.
type Config struct {
	Logger          *slog.Logger
	TracerProvider  trace.TracerProvider  // default: the global one
	Registerer      prometheus.Registerer // default: metrics are not registered
	SampleRatio     float64
	SpanLimit       int
	ConnectionLimit int
}

// Observer observes the connections of one transport.
type Observer struct {
	*instrument.Observer
	types map[wire.Type]instrument.MessageType
	other instrument.MessageType
}

// New returns an observer of a transport, which more options tell from others, and registers its metrics.
func New(cfg Config, more ...instrument.Option) (*Observer, error) {
	var names []string
	for _, t := range wire.Types() {
		names = append(names, string(t))
	}
	opts := []instrument.Option{
		instrument.WithNamespace(Namespace),
		instrument.WithMessageTypes(names...),
		instrument.WithLogger(cfg.Logger),
		instrument.WithSampleRatio(cfg.SampleRatio),
		instrument.WithSpanLimit(cfg.SpanLimit),
		instrument.WithConnectionLimit(cfg.ConnectionLimit),
	}
	if cfg.TracerProvider != nil {
		opts = append(opts, instrument.WithTracerProvider(cfg.TracerProvider))
	}
	observer, err := instrument.New(append(opts, more...)...)
	if err != nil {
		return nil, err
	}
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(observer); err != nil {
			return nil, err
		}
	}
	o := &Observer{
		Observer: observer,
		types:    make(map[wire.Type]instrument.MessageType),
		other:    observer.MessageType("other"),
	}
	for _, t := range wire.Types() {
		o.types[t] = observer.MessageType(string(t))
	}
	return o, nil
}

// TypeOf returns the observer's type for one of the protocol's, that of Other for any else.
func (o *Observer) TypeOf(t wire.Type) instrument.MessageType {
	if known, ok := o.types[t]; ok {
		return known
	}
	return o.other
}

// Other returns the type of messages whose type is not known.
func (o *Observer) Other() instrument.MessageType { return o.other }

// Logger returns the logger for what the service itself has to say. It adds trace and connection to what is logged with
// a message's context.
func Logger(l *slog.Logger) *slog.Logger {
	return slog.New(instrument.NewLogHandler(l.Handler())).With("namespace", Namespace)
}

// StartSpan starts a child of the span in ctx, which may have ended, if that is sampled.
func StartSpan(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.SpanContext().IsSampled() {
		return ctx, trace.SpanFromContext(context.Background())
	}
	return parent.TracerProvider().Tracer("github.com/sockscope/sockscope/demo").Start(ctx, name, opts...)
}

// NewFrame makes a frame, as wire.NewFrame does, that names the trace of ctx if that is sampled.
func NewFrame(ctx context.Context, typ wire.Type, id string, payload any) (*wire.Frame, error) {
	env, err := wire.New(typ, id, payload)
	if err != nil {
		return nil, err
	}
	if trace.SpanContextFromContext(ctx).IsSampled() {
		propagation.TraceContext{}.Inject(ctx, &env)
	}
	return env.Frame()
}
